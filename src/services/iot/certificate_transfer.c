/* A certificate's way to another account. While it is pending both accounts have its record, PENDING_TRANSFER, which
 * admits nobody; the giver's goes when the taker accepts, the taker's when he rejects or the giver cancels. All of it
 * is one transaction over both accounts each time.
 * Source: AWS IoT developer guide, "Transfer a certificate to another account"; TransferCertificate and its kin. */
#include "api/page.h"
#include "generated/identity_records.h"
#include "generated/iot.h"
#include "identity/certificate_home.h"
#include "services/env.h"
#include "services/iot/certificate.h"

#define PENDING S("PENDING")
#define ACCEPTED S("ACCEPTED")
#define PENDING_TRANSFER S("PENDING_TRANSFER")

static Tenant of(const Call *c, Str account) {
    return (Tenant){ account, c->region };
}

/* What DescribeCertificate shows as transferData: texts and times by their names there. */
static void set_data(Call *c, CertificateRecord *r, Str key, Str value) {
    StrPair *items = arena_array(c->arena, StrPair, r->transfer.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->transfer.n; i++)
        if (!str_eq(r->transfer.items[i].key, key)) items[n++] = r->transfer.items[i];
    if (value.len) items[n++] = (StrPair){ key, value };
    r->transfer = (StrMap){ items, n, n > 0 };
}

static Str now_text(Call *c) {
    return str_format(c->arena, "%lld", (long long)c->now_ms);
}

static void moved(Call *c, CertificateRecord *r, Str status) {
    r->status = status;
    r->modified_ms = c->now_ms;
    r->customer_version++;
}

/* ------------------------------------------------------------------------------------------------ giving */

static Err check_target(Call *c, Str target) {
    AccountRecord account;
    if (str_eq(target, c->account))
        return api_fail(c, IOT_INVALID_REQUEST, "A certificate cannot be transferred to the account that owns it, %.*s",
                        PS(target));
    Err e = account_record_peek(c->txn, (Tenant){ S("-"), S("-") }, target, c->arena, &account);
    if (e == ERR_NOT_FOUND && str_eq(target, c->env->account)) return OK;
    if (e == ERR_NOT_FOUND)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "There is no account %.*s on this server: `starling key create --account` makes one",
                        PS(target));
    return e;
}

static Err check_status(Call *c, const CertificateRecord *r) {
    if (str_eq(r->status, S("INACTIVE"))) return OK;
    if (str_eq(r->status, S("ACTIVE")))
        return api_fail(c, IOT_CERTIFICATE_STATE,
                        "Certificate must be deactivated (not ACTIVE) before transfer. Id: %.*s",
                        PS(r->certificate_id));
    return api_fail(c, IOT_CERTIFICATE_STATE, "A certificate that is %.*s cannot be transferred. Id: %.*s",
                    PS(r->status), PS(r->certificate_id));
}

/* Source: TransferConflictException: "authorization policies are still attached" */
static Err check_detached(Call *c, Str arn) {
    RecordScan *scan;
    PolicyAttachmentRecord policy;
    ThingPrincipalRecord thing;
    Err e = policy_attachment_record_scan_of_target(c->txn, call_tenant(c), arn, STR_NONE, false, &scan);
    if (e != OK) return e;
    bool any = policy_attachment_record_next(scan, c->arena, &policy);
    e = record_scan_end(scan);
    if (e == OK && any)
        e = api_fail(c, IOT_TRANSFER_CONFLICT, "Certificate policies must be detached before transfer (arn: %.*s)",
                     PS(arn));
    if (e == OK) e = thing_principal_record_scan_by_principal(c->txn, call_tenant(c), arn, STR_NONE, false, &scan);
    if (e != OK) return e;
    any = thing_principal_record_next(scan, c->arena, &thing);
    e = record_scan_end(scan);
    if (e == OK && any)
        e = api_fail(c, IOT_TRANSFER_CONFLICT, "Things must be detached before transfer (arn: %.*s)", PS(arn));
    return e;
}

Err iot_transfer_certificate(Call *c, const IotTransferCertificateIn *in, IotTransferCertificateOut *out) {
    CertificateRecord r;
    Str id = iot_certificate_id(c, in->certificate_id), target = in->target_aws_account;
    Err e = iot_certificate_get(c, id, &r);
    if (e == OK) e = check_target(c, target);
    if (e == OK) e = check_status(c, &r);
    if (e == OK) e = certificate_record_lock(c->txn, call_tenant(c), id); /* who attaches locks it, too */
    if (e == OK) e = check_detached(c, iot_certificate_arn(c, id));
    if (e != OK) return e;
    r.transfer = (StrMap){ 0 };
    set_data(c, &r, S("transferMessage"), in->transfer_message);
    set_data(c, &r, S("transferDate"), now_text(c));
    moved(c, &r, PENDING_TRANSFER);
    e = certificate_record_put(c->txn, call_tenant(c), &r);
    if (e == OK) e = certificate_record_insert(c->txn, of(c, target), &r); /* owned by the giver still */
    if (e == ERR_EXISTS)
        return api_fail(c, IOT_TRANSFER_CONFLICT, "The certificate is registered in account %.*s already", PS(target));
    if (e == OK)
        e = certificate_transfer_record_put(c->txn, call_tenant(c),
                                            &(CertificateTransferRecord){ .certificate_id = id,
                                                                          .target = target,
                                                                          .state = PENDING,
                                                                          .message = in->transfer_message,
                                                                          .transferred_ms = c->now_ms,
                                                                          .created_ms = r.created_ms });
    if (e != OK) return e;
    iot_certificate_changed(c, id);
    out->transferred_certificate_arn =
        str_format(c->arena, "arn:aws:iot:%.*s:%.*s:cert/%.*s", PS(c->region), PS(target), PS(id));
    return OK;
}

static Err completed(Call *c, Str id) {
    return api_fail(c, IOT_TRANSFER_ALREADY_COMPLETED, "The transfer of certificate %.*s is already completed", PS(id));
}

static Err not_pending(Call *c, Str id) {
    return api_fail(c, IOT_RESOURCE_NOT_FOUND, "There is no pending transfer of certificate %.*s", PS(id));
}

/* The giver's certificate is his again. */
static Err give_back(Call *c, Str giver, Str id, Str reason) {
    CertificateRecord r;
    Err e = certificate_record_get(c->txn, of(c, giver), id, c->arena, &r);
    if (e != OK) return e;
    moved(c, &r, S("INACTIVE"));
    if (str_eq(giver, c->account)) {
        r.transfer = (StrMap){ 0 };
    } else {
        set_data(c, &r, S("rejectReason"), reason);
        set_data(c, &r, S("rejectDate"), now_text(c));
    }
    e = certificate_record_put(c->txn, of(c, giver), &r);
    if (e == OK) e = certificate_transfer_record_delete(c->txn, of(c, giver), id);
    return e;
}

Err iot_cancel_certificate_transfer(Call *c, const IotCancelCertificateTransferIn *in,
                                    IotCancelCertificateTransferOut *out) {
    (void)out;
    CertificateTransferRecord t;
    Str id = iot_certificate_id(c, in->certificate_id);
    Err e = certificate_transfer_record_get(c->txn, call_tenant(c), id, c->arena, &t);
    if (e == ERR_NOT_FOUND) return not_pending(c, id);
    if (e == OK && !str_eq(t.state, PENDING)) return completed(c, id);
    if (e == OK) e = certificate_record_delete(c->txn, of(c, t.target), id);
    if (e == OK) e = give_back(c, c->account, id, STR_NONE);
    if (e == OK) iot_certificate_changed(c, id);
    return e;
}

Err iot_list_outgoing_certificates(Call *c, const IotListOutgoingCertificatesIn *in,
                                   IotListOutgoingCertificatesOut *out) {
    bool down = !in->ascending_order.v;
    RecordScan *scan;
    CertificateTransferRecord t;
    Page page;
    Err e = page_open(c, down ? S("down") : S("up"), in->marker, in->page_size, CERTIFICATE_PAGE, &page);
    if (e == OK)
        e = certificate_transfer_record_scan_by_state_of_state(c->txn, call_tenant(c), PENDING, page.after, down,
                                                               &scan);
    if (e != OK) return e;
    IotOutgoingCertificate *items = arena_array(c->arena, IotOutgoingCertificate, page.most);
    while (certificate_transfer_record_next(scan, c->arena, &t) && page_take(&page, scan))
        items[page.n - 1] = (IotOutgoingCertificate){ .certificate_arn = iot_certificate_arn(c, t.certificate_id),
                                                      .certificate_id = t.certificate_id,
                                                      .transferred_to = t.target,
                                                      .transfer_date = { true, t.transferred_ms },
                                                      .transfer_message = t.message,
                                                      .creation_date = { true, t.created_ms } };
    out->outgoing_certificates = (IotOutgoingCertificates){ items, page.n, true };
    out->next_marker = page.next;
    return record_scan_end(scan);
}

/* ------------------------------------------------------------------------------------------------ taking */

/* The certificate that another account gives to the caller's. */
static Err incoming(Call *c, Str id, CertificateRecord *out) {
    CertificateRecord r;
    Err e = certificate_record_get(c->txn, call_tenant(c), id, c->arena, &r);
    if (e == ERR_NOT_FOUND) return not_pending(c, id);
    if (e != OK) return e;
    bool pending = str_eq(r.status, PENDING_TRANSFER);
    if (pending && str_eq(r.owned_by, c->account)) /* it is the giver who asks */
        return not_pending(c, id);
    if (!pending) return r.previous_owned_by.len ? completed(c, id) : not_pending(c, id);
    *out = r;
    return OK;
}

/* What was attached at the giver's while the transfer was pending does not stay behind. */
static Err detach_all(Call *c, Tenant giver, Str id) {
    Str arn = str_format(c->arena, "arn:aws:iot:%.*s:%.*s:cert/%.*s", PS(c->region), PS(giver.account), PS(id));
    for (;;) { /* the first one each time: what a walk stands on is not deleted under it */
        RecordScan *scan;
        PolicyAttachmentRecord policy;
        Err e = policy_attachment_record_scan_of_target(c->txn, giver, arn, STR_NONE, false, &scan);
        if (e != OK) return e;
        bool any = policy_attachment_record_next(scan, c->arena, &policy);
        e = record_scan_end(scan);
        if (e == OK && any) e = policy_attachment_record_delete(c->txn, giver, arn, policy.policy_name);
        if (e != OK) return e;
        if (!any) break;
    }
    for (;;) {
        RecordScan *scan;
        ThingPrincipalRecord thing;
        Err e = thing_principal_record_scan_by_principal(c->txn, giver, arn, STR_NONE, false, &scan);
        if (e != OK) return e;
        bool any = thing_principal_record_next(scan, c->arena, &thing);
        e = record_scan_end(scan);
        if (e == OK && any) e = thing_principal_record_delete(c->txn, giver, thing.thing_name, thing.principal);
        if (e != OK || !any) return e;
    }
}

static Err take(Call *c, CertificateRecord *r, bool active) {
    Tenant giver = of(c, r->owned_by);
    CertificateTransferRecord t;
    Str id = r->certificate_id;
    Err e = certificate_transfer_record_get(c->txn, giver, id, c->arena, &t);
    if (e == OK) e = certificate_record_lock(c->txn, giver, id);
    if (e == OK) e = detach_all(c, giver, id);
    if (e == OK) e = certificate_record_delete(c->txn, giver, id);
    if (e == OK) e = certificate_home_remove(c->txn, &(CertificateHome){ c->region, id, giver.account, r->mode });
    if (e == OK) e = certificate_home_add(c->txn, &(CertificateHome){ c->region, id, c->account, r->mode });
    t.state = ACCEPTED;
    if (e == OK) e = certificate_transfer_record_put(c->txn, giver, &t);
    if (e != OK) return e;
    moved(c, r, active ? S("ACTIVE") : S("INACTIVE"));
    r->previous_owned_by = giver.account;
    r->owned_by = c->account;
    set_data(c, r, S("acceptDate"), now_text(c));
    return certificate_record_put(c->txn, call_tenant(c), r);
}

Err iot_accept_certificate_transfer(Call *c, const IotAcceptCertificateTransferIn *in,
                                    IotAcceptCertificateTransferOut *out) {
    (void)out;
    CertificateRecord r;
    Str id = iot_certificate_id(c, in->certificate_id);
    Err e = incoming(c, id, &r);
    if (e == OK) e = take(c, &r, in->set_as_active.v);
    if (e == OK) iot_certificate_changed(c, id);
    return e;
}

Err iot_reject_certificate_transfer(Call *c, const IotRejectCertificateTransferIn *in,
                                    IotRejectCertificateTransferOut *out) {
    (void)out;
    CertificateRecord r;
    Str id = iot_certificate_id(c, in->certificate_id);
    Err e = incoming(c, id, &r);
    if (e == OK) e = certificate_record_delete(c->txn, call_tenant(c), id);
    if (e == OK) e = give_back(c, r.owned_by, id, in->reject_reason);
    if (e == OK) iot_certificate_changed(c, id);
    return e;
}
