#include "store/settle.h"

/* A task may begin store work, and store work posts tasks when it is done: a last round of one after the other would
 * leave what it began, a message without its write, memory without an owner. So both go on in turn, each as it always
 * does (a turn of a reactor ends with its flush, which sends off what it gathered), until a round finds nothing.
 *
 * Why a round without anything is the end, though pools work side by side: each pool was idle when it was waited for,
 * and was not given anything between the wait of the round before and its own. So there was an instant between these
 * two rounds at which all were idle, and since then the tasks that ran here, none, are all that could have begun
 * anything. */
void store_settle(Reactor *const *reactors, size_t reactors_n, Workers *const *pools, size_t pools_n) {
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < pools_n; i++)
            if (pools[i]) any |= workers_wait(pools[i]);
        for (size_t i = 0; i < reactors_n; i++) any |= reactor_drain(reactors[i]);
    }
}
