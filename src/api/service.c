#include "api/op.h"

/* Operations are sorted by name in the model, and the reader of models refuses one that is not. */
const ApiOp *api_op(const ApiService *s, Str name) {
    size_t low = 0, high = s->ops_n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_cmp(s->ops[middle].name, name);
        if (order == 0) return &s->ops[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
