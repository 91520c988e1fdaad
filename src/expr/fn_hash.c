#include <openssl/evp.h>

#include "base/encode.h"
#include "expr/functions.h"
#include "expr/md2.h"

/* Steps of a run for each byte: as long as they take. */
enum { MD2_STEPS = 4, BYTES_A_STEP = 4 };

static void call_hash(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)n;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 16;
    char name[8] = { 0 };
    bool slow = str_eq(node->fn->name, S("md2"));
    if (!expr_steps(run, slow ? args[0].s.len * MD2_STEPS : args[0].s.len / BYTES_A_STEP)) return;
    for (size_t i = 0; i < node->fn->name.len; i++) name[i] = (char)node->fn->name.ptr[i];
    if (slow) {
        md2(args[0].s, digest);
    } else if (!EVP_Digest(args[0].s.ptr, args[0].s.len, digest, &bytes, EVP_get_digestbyname(name), NULL)) {
        expr_fail(run, ERR_NOT_IMPLEMENTED, "this machine's OpenSSL does not allow %s", name);
        return;
    }
    *out = expr_string(hex_encode(run->arena, (Str){ digest, bytes }));
}

#define HASH(fn_name)                                                                                                  \
    { .name = STR_INIT(fn_name), .args_min = 1, .args_max = 1, .takes = "s", .call = call_hash }

static const ExprFn ITEMS[] = { HASH("md2"),    HASH("md5"),    HASH("sha1"),  HASH("sha224"),
                                HASH("sha256"), HASH("sha384"), HASH("sha512") };

const ExprFns expr_hash_functions = { ITEMS, sizeof ITEMS / sizeof *ITEMS };
