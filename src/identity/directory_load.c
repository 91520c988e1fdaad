#include "identity/directory_load.h"

Err directory_load(Txn *txn, Str account, Str region, Str certificate_id, Arena *arena, Loaded *out) {
    (void)txn, (void)account, (void)region, (void)certificate_id, (void)arena, (void)out;
    return ERR_NOT_IMPLEMENTED; /* until the registry's records are there */
}
