#include "base/err.h"

const char *err_name(Err e) {
    switch (e) {
    case OK: return "ok";
    case ERR_MALFORMED: return "malformed";
    case ERR_INVALID: return "invalid";
    case ERR_LIMIT: return "over a limit";
    case ERR_NOT_FOUND: return "not found";
    case ERR_EXISTS: return "exists already";
    case ERR_CONFLICT: return "conflict";
    case ERR_DENIED: return "denied";
    case ERR_UNAUTHENTICATED: return "not authenticated";
    case ERR_NOT_IMPLEMENTED: return "not implemented";
    case ERR_AGAIN: return "try again";
    case ERR_CLOSED: return "closed";
    case ERR_FULL: return "no room is left on the disk where the data is";
    case ERR_IO: return "input or output failed";
    case ERR_CORRUPT: return "corrupt";
    case ERR_API: return "answered with an AWS error";
    }
    return "unknown error";
}
