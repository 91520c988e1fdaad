/* RoleBook: the roles that rules act by, in memory, as one service carries them. Who holds a role asks without reading
 * a store, on any thread, a reactor too. */
#pragma once

#include "identity/role.h"

typedef struct RoleBook RoleBook;
typedef struct RoleSeat RoleSeat; /* a role of an account, held by somebody; counted */

RoleBook *role_book_new(Store *store, Str service);
void role_book_free(RoleBook *b); /* accepts NULL; nobody holds a seat any more */

/* Reads the store where nobody holds it yet: not on a reactor. Never NULL. */
RoleSeat *role_book_hold(RoleBook *b, Str account, Str arn);
void role_book_drop(RoleBook *b, RoleSeat *seat); /* accepts NULL */

/* Whether the account has, or had, the role: of one it never had nothing is known, so nothing is refused. */
bool role_seat_known(RoleBook *b, RoleSeat *seat);
/* True once a seat: its being unknown is told once. */
bool role_seat_tell(RoleSeat *seat);
/* OK also for a role that is not known.
 * Errors: ERR_DENIED with *why */
NODISCARD Err role_seat_may(RoleBook *b, RoleSeat *seat, Str action, Str resource, const PolicyVar *vars, size_t vars_n,
                            Arena *arena, Str *why);

/* After a commit: the role or its policies are others now. Not on a reactor. */
void role_book_changed(RoleBook *b, Str account, Str role_name);
