/* Interests: from a name (of a certificate, thing or group) to all that is made of it.
 * No lock of its own: the directory's. */
#pragma once

#include "base/map.h"
#include "identity/directory_load.h"

typedef enum {
    INTEREST_CERTIFICATE = 'c',
    INTEREST_THING = 't',
    INTEREST_GROUP = 'g',
    INTEREST_TYPE = 'y',
} InterestKind;

typedef struct {
    Str key; /* the kind's letter, account, zero byte, name */
    uint64_t hash;
} Name;
typedef struct {
    Name *items;
    size_t n;
} Names;

Name interest_name(InterestKind kind, Str account, Str name, Arena *arena);
/* Every name that a principal loaded so is made of, but for its policies: those it shares. */
Names interest_names(Str account, Str certificate_id, const Loaded *loaded, Arena *arena);

typedef struct Interest Interest;
/* One owner in one name's list. */
typedef struct Link {
    struct Link *next, *prev;
    Interest *interest;
    void *owner;
} Link;
typedef struct {
    Link *items;
    size_t n;
} Links; /* one owner's; all zeros: none */
typedef struct {
    Map map;
} Interests;

void interests_link(Interests *in, Links *links, const Names *names, void *owner); /* links must be empty */
void interests_unlink(Interests *in, Links *links);                                /* and empties it */
/* Whether they stand for these names, in this order. */
bool links_are(const Links *links, const Names *names);
Link *interests_find(const Interests *in, const Name *name); /* the first of its list, or NULL */
void interests_free(Interests *in);                          /* all must be unlinked */
