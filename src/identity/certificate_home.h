/* In which accounts of the region a certificate is registered: what tells the account of a client that named none.
 * Written in the transaction that registers, deletes or transfers the certificate. */
#pragma once

#include "store/record.h"

typedef struct {
    Str region, certificate_id, account;
    Str mode; /* DEFAULT, SNI_ONLY */
} CertificateHome;

NODISCARD Err certificate_home_add(Txn *txn, const CertificateHome *home);
NODISCARD Err certificate_home_remove(Txn *txn, const CertificateHome *home);

/* The account that a certificate means by itself: the only one that has it in DEFAULT mode, which takes its CA's key or
 * having it issued; else the only one that has it at all.
 * Errors: ERR_NOT_FOUND: none, or several. Owns: *account lives in the arena */
NODISCARD Err certificate_home_find(Txn *txn, Str region, Str certificate_id, Arena *arena, Str *account);

/* A CA in DEFAULT mode belongs to one account. Errors: ERR_EXISTS: to another one */
NODISCARD Err ca_home_take(Txn *txn, Str region, Str certificate_id, Str account, Arena *arena);
NODISCARD Err ca_home_leave(Txn *txn, Str region, Str certificate_id, Str account, Arena *arena);
