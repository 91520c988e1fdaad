/* Describe, list, update and delete device certificates. */
#include "generated/iot.h"
#include "identity/certificate_home.h"
#include "services/iot/certificate.h"

static IotTransferData *transfer_data(Call *c, const StrMap *stored) {
    if (!stored->n) return NULL;
    IotTransferData *t = arena_new(c->arena, IotTransferData);
    for (size_t i = 0; i < stored->n; i++) {
        Str key = stored->items[i].key, value = stored->items[i].value;
        OptInt ms = { 0 };
        ms.set = str_to_i64(value, &ms.v) == OK;
        if (str_eq(key, S("transferMessage")))
            t->transfer_message = value;
        else if (str_eq(key, S("rejectReason")))
            t->reject_reason = value;
        else if (str_eq(key, S("transferDate")))
            t->transfer_date = ms;
        else if (str_eq(key, S("acceptDate")))
            t->accept_date = ms;
        else if (str_eq(key, S("rejectDate")))
            t->reject_date = ms;
    }
    return t;
}

Err iot_describe_certificate(Call *c, const IotDescribeCertificateIn *in, IotDescribeCertificateOut *out) {
    CertificateRecord r;
    Err e = iot_certificate_get(c, iot_certificate_id(c, in->certificate_id), &r);
    if (e != OK) return e;
    IotCertificateValidity *validity = arena_new(c->arena, IotCertificateValidity);
    *validity = (IotCertificateValidity){ { true, r.not_before_ms }, { true, r.not_after_ms } };
    out->certificate_description = arena_new(c->arena, IotCertificateDescription);
    *out->certificate_description =
        (IotCertificateDescription){ .certificate_arn = iot_certificate_arn(c, r.certificate_id),
                                     .certificate_id = r.certificate_id,
                                     .ca_certificate_id = r.ca_certificate_id,
                                     .status = r.status,
                                     .certificate_pem = r.certificate_pem,
                                     .owned_by = r.owned_by,
                                     .previous_owned_by = r.previous_owned_by,
                                     .creation_date = { true, r.created_ms },
                                     .last_modified_date = { true, r.modified_ms },
                                     .customer_version = { true, r.customer_version },
                                     .transfer_data = transfer_data(c, &r.transfer),
                                     .generation_id = r.generation_id,
                                     .validity = validity,
                                     .certificate_mode = r.mode };
    return OK;
}

/* The scan is ended. */
static Err fill(Call *c, Page *page, RecordScan *scan, IotCertificates *list) {
    IotCertificate *items = arena_array(c->arena, IotCertificate, page->most);
    CertificateRecord r;
    while (certificate_record_next(scan, c->arena, &r) && page_take(page, scan))
        items[page->n - 1] = (IotCertificate){ .certificate_arn = iot_certificate_arn(c, r.certificate_id),
                                               .certificate_id = r.certificate_id,
                                               .status = r.status,
                                               .certificate_mode = r.mode,
                                               .creation_date = { true, r.created_ms } };
    *list = (IotCertificates){ items, page->n, true };
    return record_scan_end(scan);
}

static Str order_filter(Call *c, OptBool ascending, Str ca) {
    return str_format(c->arena, "%s/%.*s", ascending.v ? "up" : "down", PS(ca));
}

Err iot_list_certificates(Call *c, const IotListCertificatesIn *in, IotListCertificatesOut *out) {
    Str filters = order_filter(c, in->ascending_order, S(""));
    bool down = !in->ascending_order.v;
    RecordScan *scan;
    Page page;
    Err e = page_open(c, filters, in->marker, in->page_size, CERTIFICATE_PAGE, &page);
    if (e == OK) e = certificate_record_scan_all_by_created(c->txn, call_tenant(c), page.after, down, &scan);
    if (e == OK) e = fill(c, &page, scan, &out->certificates);
    if (e == OK) out->next_marker = page.next;
    return e;
}

Err iot_list_certificates_by_ca(Call *c, const IotListCertificatesByCAIn *in, IotListCertificatesByCAOut *out) {
    Str ca = iot_certificate_id(c, in->ca_certificate_id), filters = order_filter(c, in->ascending_order, ca);
    bool down = !in->ascending_order.v;
    RecordScan *scan;
    Page page;
    Err e = page_open(c, filters, in->marker, in->page_size, CERTIFICATE_PAGE, &page);
    if (e == OK)
        e = certificate_record_scan_by_ca_of_ca_certificate_id(c->txn, call_tenant(c), ca, page.after, down, &scan);
    if (e == OK) e = fill(c, &page, scan, &out->certificates);
    if (e == OK) out->next_marker = page.next;
    return e;
}

/* Whether a certificate may go from one status to the other; else why not.
 * Source: UpdateCertificate: PENDING_TRANSFER and PENDING_ACTIVATION are used by AWS IoT alone; revoking is for good */
static Err check_move(Call *c, const CertificateRecord *r, Str to) {
    if (!str_eq(to, S("ACTIVE")) && !str_eq(to, S("INACTIVE")) && !str_eq(to, S("REVOKED")))
        return api_fail(c, IOT_INVALID_REQUEST,
                        "A certificate's status cannot be set to %.*s; ACTIVE, INACTIVE and REVOKED are possible",
                        PS(to));
    if (str_eq(r->status, S("REVOKED")) && !str_eq(to, S("REVOKED")))
        return api_fail(c, IOT_CERTIFICATE_STATE,
                        "The certificate is revoked, its status cannot be changed to %.*s. Id: %.*s", PS(to),
                        PS(r->certificate_id));
    if (str_eq(r->status, S("PENDING_TRANSFER")))
        return api_fail(c, IOT_CERTIFICATE_STATE,
                        "The certificate is being transferred, its status cannot be changed. Id: %.*s",
                        PS(r->certificate_id));
    return OK;
}

Err iot_update_certificate(Call *c, const IotUpdateCertificateIn *in, IotUpdateCertificateOut *out) {
    (void)out;
    CertificateRecord r;
    Err e = iot_certificate_get(c, iot_certificate_id(c, in->certificate_id), &r);
    if (e == OK) e = check_move(c, &r, in->new_status);
    if (e != OK) return e;
    r.status = in->new_status;
    r.modified_ms = c->now_ms;
    r.customer_version++;
    e = certificate_record_put(c->txn, call_tenant(c), &r);
    if (e == OK && !str_eq(r.status, S("ACTIVE"))) e = iot_certificate_keys_end(c, r.certificate_id);
    if (e == OK) iot_certificate_changed(c, r.certificate_id);
    return e;
}

/* Source: the texts as reported by users of boto3 and aws-nuke (aws-nuke issue 374, moto) */
static Err check_unused(Call *c, const CertificateRecord *r, Str arn, bool force) {
    if (str_eq(r->status, S("ACTIVE")))
        return api_fail(c, IOT_CERTIFICATE_STATE,
                        "Certificate must be deactivated (not ACTIVE) before deletion. Id: %.*s",
                        PS(r->certificate_id));
    if (str_eq(r->status, S("PENDING_TRANSFER")))
        return api_fail(c, IOT_CERTIFICATE_STATE,
                        "The certificate's transfer must be cancelled before deletion. Id: %.*s",
                        PS(r->certificate_id));
    RecordScan *scan;
    ThingPrincipalRecord thing;
    Err e = thing_principal_record_scan_by_principal(c->txn, call_tenant(c), arn, STR_NONE, false, &scan);
    if (e != OK) return e;
    bool any = thing_principal_record_next(scan, c->arena, &thing);
    e = record_scan_end(scan);
    if (e == OK && any)
        e = api_fail(c, IOT_DELETE_CONFLICT, "Things must be detached before deletion (arn: %.*s)", PS(arn));
    if (e != OK || force) return e;
    PolicyAttachmentRecord policy;
    e = policy_attachment_record_scan_of_target(c->txn, call_tenant(c), arn, STR_NONE, false, &scan);
    if (e != OK) return e;
    any = policy_attachment_record_next(scan, c->arena, &policy);
    e = record_scan_end(scan);
    if (e == OK && any)
        e = api_fail(c, IOT_DELETE_CONFLICT, "Certificate policies must be detached before deletion (arn: %.*s)",
                     PS(arn));
    return e;
}

static Err detach_policies(Call *c, Str arn) {
    for (;;) { /* the first one each time: what a walk stands on is not deleted under it */
        RecordScan *scan;
        PolicyAttachmentRecord at;
        Err e = policy_attachment_record_scan_of_target(c->txn, call_tenant(c), arn, STR_NONE, false, &scan);
        if (e != OK) return e;
        bool any = policy_attachment_record_next(scan, c->arena, &at);
        e = record_scan_end(scan);
        if (e == OK && any) e = policy_attachment_record_delete(c->txn, call_tenant(c), arn, at.policy_name);
        if (e != OK || !any) return e;
    }
}

/* forceDelete takes attached policies along, never things. Source: DeleteCertificate */
Err iot_delete_certificate(Call *c, const IotDeleteCertificateIn *in, IotDeleteCertificateOut *out) {
    (void)out;
    CertificateRecord r;
    Str id = iot_certificate_id(c, in->certificate_id), arn = iot_certificate_arn(c, id);
    Err e = iot_certificate_get(c, id, &r);
    if (e == OK) e = certificate_record_lock(c->txn, call_tenant(c), id); /* who attaches locks it, too */
    if (e == OK) e = check_unused(c, &r, arn, in->force_delete.v);
    if (e == OK && in->force_delete.v) e = detach_policies(c, arn);
    if (e == OK) e = certificate_record_delete(c->txn, call_tenant(c), id);
    if (e == OK) e = iot_certificate_keys_end(c, id);
    if (e == OK) e = certificate_home_remove(c->txn, &(CertificateHome){ c->region, id, c->account, r.mode });
    if (e == OK) iot_certificate_changed(c, id);
    return e;
}
