/* Registered CA certificates: describe, list, update, delete, and finding the one that signed. */
#include "services/iot/ca_certificate.h"

#include "api/error.h"
#include "generated/iot.h"
#include "identity/certificate_home.h"
#include "services/iot/certificate.h"

Str iot_ca_arn(Call *c, Str id) {
    return call_arn(c, "iot", "cacert/%.*s", PS(id));
}

static Err ca_get(Call *c, Str id, CaCertificateRecord *out) {
    Err e = ca_certificate_record_get(c->txn, call_tenant(c), id, c->arena, out);
    if (e != ERR_NOT_FOUND) return e;
    return api_fail(c, IOT_RESOURCE_NOT_FOUND, "CA certificate %.*s does not exist", PS(id));
}

Err iot_ca_of_issuer(Call *c, Str issuer_der, CaCertificateRecord *out) {
    RecordScan *scan;
    Err e = ca_certificate_record_scan_by_subject(c->txn, call_tenant(c), issuer_der, STR_NONE, false, &scan);
    if (e != OK) return e;
    CaCertificateRecord first, second;
    bool one = ca_certificate_record_next(scan, c->arena, &first);
    bool two = one && ca_certificate_record_next(scan, c->arena, &second);
    e = record_scan_end(scan);
    if (e != OK) return e;
    if (!one)
        return api_fail(c, IOT_CERTIFICATE_VALIDATION,
                        "No registered CA certificate has the name of the certificate's issuer");
    if (two) /* Source: RegisterCertificate */
        return api_fail(c, IOT_CERTIFICATE_CONFLICT,
                        "More than one CA certificate is registered with the same subject: give the one that signed "
                        "in caCertificatePem");
    *out = first;
    return OK;
}

Err iot_describe_ca_certificate(Call *c, const IotDescribeCACertificateIn *in, IotDescribeCACertificateOut *out) {
    CaCertificateRecord r;
    Err e = ca_get(c, iot_certificate_id(c, in->certificate_id), &r);
    if (e != OK) return e;
    IotCertificateValidity *validity = arena_new(c->arena, IotCertificateValidity);
    *validity = (IotCertificateValidity){ { true, r.not_before_ms }, { true, r.not_after_ms } };
    out->certificate_description = arena_new(c->arena, IotCACertificateDescription);
    *out->certificate_description =
        (IotCACertificateDescription){ .certificate_arn = iot_ca_arn(c, r.certificate_id),
                                       .certificate_id = r.certificate_id,
                                       .status = r.status,
                                       .certificate_pem = r.certificate_pem,
                                       .owned_by = r.owned_by,
                                       .creation_date = { true, r.created_ms },
                                       .auto_registration_status = r.auto_registration_status,
                                       .last_modified_date = { true, r.modified_ms },
                                       .customer_version = { true, r.customer_version },
                                       .generation_id = r.generation_id,
                                       .validity = validity,
                                       .certificate_mode = r.mode };
    if (!r.registration_template.ptr && !r.registration_role_arn.ptr && !r.registration_template_name.ptr) return OK;
    out->registration_config = arena_new(c->arena, IotRegistrationConfig);
    *out->registration_config = (IotRegistrationConfig){ .template_body = r.registration_template,
                                                         .role_arn = r.registration_role_arn,
                                                         .template_name = r.registration_template_name };
    return OK;
}

Err iot_list_ca_certificates(Call *c, const IotListCACertificatesIn *in, IotListCACertificatesOut *out) {
    bool down = !in->ascending_order.v;
    Str filters = str_format(c->arena, "%s/%.*s", down ? "down" : "up", PS(in->template_name));
    RecordScan *scan;
    CaCertificateRecord r;
    Page page;
    Err e = page_open(c, filters, in->marker, in->page_size, CERTIFICATE_PAGE, &page);
    if (e == OK) e = ca_certificate_record_scan_all_by_created(c->txn, call_tenant(c), page.after, down, &scan);
    if (e != OK) return e;
    IotCACertificate *items = arena_array(c->arena, IotCACertificate, page.most);
    while (ca_certificate_record_next(scan, c->arena, &r)) {
        if (in->template_name.len && !str_eq(in->template_name, r.registration_template_name)) continue;
        if (!page_take(&page, scan)) break;
        items[page.n - 1] = (IotCACertificate){ .certificate_arn = iot_ca_arn(c, r.certificate_id),
                                                .certificate_id = r.certificate_id,
                                                .status = r.status,
                                                .creation_date = { true, r.created_ms } };
    }
    out->certificates = (IotCACertificates){ items, page.n, true };
    out->next_marker = page.next;
    return record_scan_end(scan);
}

Err iot_ca_check_config(Call *c, const IotRegistrationConfig *config) {
    if (config && (config->template_body.len || config->template_name.len || config->role_arn.len))
        return api_fail(c, API_NOT_IMPLEMENTED,
                        "registrationConfig is not implemented yet: just-in-time provisioning (JITP) by a template. "
                        "Just-in-time registration (JITR, allowAutoRegistration alone) works");
    return OK;
}

Err iot_update_ca_certificate(Call *c, const IotUpdateCACertificateIn *in, IotUpdateCACertificateOut *out) {
    (void)out;
    CaCertificateRecord r;
    Err e = ca_get(c, iot_certificate_id(c, in->certificate_id), &r);
    if (e == OK) e = iot_ca_check_config(c, in->registration_config);
    if (e != OK) return e;
    if (in->new_status.len) r.status = in->new_status;
    if (in->new_auto_registration_status.len) r.auto_registration_status = in->new_auto_registration_status;
    if (in->remove_auto_registration.v) {
        r.registration_template = r.registration_role_arn = r.registration_template_name = STR_NONE;
        r.auto_registration_status = S("DISABLE");
    }
    r.modified_ms = c->now_ms;
    r.customer_version++;
    return ca_certificate_record_put(c->txn, call_tenant(c), &r);
}

Err iot_delete_ca_certificate(Call *c, const IotDeleteCACertificateIn *in, IotDeleteCACertificateOut *out) {
    (void)out;
    CaCertificateRecord r;
    Str id = iot_certificate_id(c, in->certificate_id);
    Err e = ca_get(c, id, &r);
    if (e != OK) return e;
    if (str_eq(r.status, S("ACTIVE")))
        return api_fail(c, IOT_CERTIFICATE_STATE,
                        "CA certificate must be deactivated (not ACTIVE) before deletion. Id: %.*s", PS(id));
    e = ca_certificate_record_delete(c->txn, call_tenant(c), id);
    if (e == OK && str_eq(r.mode, S("DEFAULT"))) e = ca_home_leave(c->txn, c->region, id, c->account, c->arena);
    return e;
}
