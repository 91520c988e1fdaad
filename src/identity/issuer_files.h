/* The issuer's files: DIR/ca.pem for everybody to trust, DIR/pki/NAME with a private key and its certificate each.
 * Written whole or not at all. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/arena.h"

typedef struct {
    EVP_PKEY *key;
    X509 *cert;
} KeyPair;

void pair_free(KeyPair *pair); /* empties it */
NODISCARD Err issuer_dirs(Str dir, Arena *arena, Str *why);
/* Errors: ERR_NOT_FOUND (no such file), ERR_CORRUPT, ERR_IO */
NODISCARD Err pair_load(Str dir, const char *file, KeyPair *out, Arena *arena, Str *why);
NODISCARD Err pair_save(Str dir, const char *file, const KeyPair *pair, Arena *arena, Str *why);
NODISCARD Err ca_pem_save(Str dir, Str pem, Arena *arena, Str *why); /* nothing to do where it is the same */
/* DIR/ca-bundle.pem: what the system trusts and then pem, for clients that can be given one file only. Where the system
 * has no list there is no such file. */
#define CA_BUNDLE_FILE "ca-bundle.pem"
NODISCARD Err ca_bundle_save(Str dir, Str pem, Arena *arena, Str *why);
/* The operator's own: texts are checked to be a chain and its key. Errors: ERR_IO, ERR_INVALID */
NODISCARD Err given_load(const char *chain_file, const char *key_file, Arena *arena, Str *chain_pem, Str *key_pem,
                         Str *why);
