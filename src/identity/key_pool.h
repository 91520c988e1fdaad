/* KeyPool: RSA-2048 keys made ahead, so that who asks for one need not wait the tenth of a second and more that one
 * takes. Made by a thread that only runs when nothing else does. Safe from every thread. */
#pragma once

#include <openssl/evp.h>

#include "base/arena.h"

typedef struct KeyPool KeyPool;

KeyPool *key_pool_new(size_t keys_max); /* makes nothing before the first key_pool_take */
void key_pool_free(KeyPool *pool);      /* accepts NULL; drops a key that is being made */

/* A key, the caller's until EVP_PKEY_free; NULL: none is there, make one. */
EVP_PKEY *key_pool_take(KeyPool *pool);
void key_pool_wait_full(KeyPool *pool); /* for tests; after the first take */
