/* The registration code: proves, in a verification certificate, that who registers a CA holds its key. */
#include "base/encode.h"
#include "generated/iot.h"
#include "services/iot/ca_certificate.h"

enum { CODE_BYTES = 32 }; /* 64 hex digits. Source: RegistrationCode's pattern, (0x)?[a-fA-F0-9]+, 64 */
static const Str NAME = STR_INIT("code");

Err iot_registration_code(Call *c, Str *out) {
    RegistrationCodeRecord r;
    Err e = registration_code_record_get(c->txn, call_tenant(c), NAME, c->arena, &r);
    if (e == ERR_NOT_FOUND) {
        uint8_t bytes[CODE_BYTES];
        rng_fill(c->rng, bytes, sizeof bytes);
        r = (RegistrationCodeRecord){ .name = NAME,
                                      .code = hex_encode(c->arena, (Str){ bytes, sizeof bytes }),
                                      .created_ms = c->now_ms };
        e = registration_code_record_put(c->txn, call_tenant(c), &r);
    }
    if (e == OK) *out = r.code;
    return e;
}

Err iot_get_registration_code(Call *c, const IotGetRegistrationCodeIn *in, IotGetRegistrationCodeOut *out) {
    (void)in;
    return iot_registration_code(c, &out->registration_code);
}

Err iot_delete_registration_code(Call *c, const IotDeleteRegistrationCodeIn *in, IotDeleteRegistrationCodeOut *out) {
    (void)in, (void)out;
    Err e = registration_code_record_delete(c->txn, call_tenant(c), NAME);
    if (e == ERR_NOT_FOUND)
        return api_fail(c, IOT_RESOURCE_NOT_FOUND, "There is no registration code; GetRegistrationCode makes one");
    return e;
}
