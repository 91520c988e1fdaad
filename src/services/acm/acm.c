/* ACM, as much of it as domain configurations need: certificates that are imported with their key, described, listed,
 * replaced under the same ARN and deleted. What ACM would issue itself answers as not implemented.
 * Source: AWS Certificate Manager API reference */
#include "api/page.h"
#include "base/clock.h"
#include "generated/acm.h"
#include "generated/identity_records.h"
#include "identity/domain_book.h"
#include "identity/server_certificate.h"
#include "services/env.h"

enum { TAGS_MAX = 50 }; /* Source: ACM quotas */
#define ACM_PAGE ((PageSize){ .otherwise = 100, .most = 1000 })

static Str arn_of(Call *c, Str id) {
    return call_arn(c, "acm", "certificate/%.*s", PS(id));
}

static Err find(Call *c, Str arn, AcmCertificateRecord *out) {
    Str begin = arn_of(c, S(""));
    Err e = ERR_NOT_FOUND; /* one of another account or region is not there either */
    if (!str_starts(arn, S("arn:aws:acm:")) || str_find_str(arn, S(":certificate/")) == SIZE_MAX)
        return api_fail(c, ACM_INVALID_ARN,
                        "'%.*s' is not the ARN of a certificate: "
                        "arn:aws:acm:REGION:ACCOUNT:certificate/ID is expected",
                        PS(str_sub(arn, 0, 256)));
    if (str_starts(arn, begin))
        e = acm_certificate_record_get(c->txn, call_tenant(c), str_from(arn, begin.len), c->arena, out);
    if (e != ERR_NOT_FOUND) return e;
    return api_fail(c, ACM_RESOURCE_NOT_FOUND, "Could not find certificate %.*s.", PS(arn));
}

static void tell_domains(Env *env, void *arg) {
    (void)arg;
    if (env->domains) domain_book_changed(env->domains);
}

static Err read(Call *c, const AcmCertificateRecord *r, ServerCertificate *out) {
    Str why;
    return server_certificate_read(r->certificate_pem, r->chain_pem, r->key_pem, c->arena, out, &why) == OK
               ? OK
               : ERR_CORRUPT; /* it was checked when it came */
}

/* ------------------------------------------------------------------------------------------------ tags */

static Err merge_tags(Call *c, const AcmTagList *tags, StrMap *have) {
    StrPair *items = arena_array(c->arena, StrPair, have->n + tags->n + 1);
    size_t n = have->n;
    if (n) memcpy(items, have->items, n * sizeof *items);
    for (size_t i = 0; i < tags->n; i++) {
        size_t k = 0;
        if (str_starts(tags->items[i].key, S("aws:")))
            return api_fail(c, ACM_INVALID_TAG, "aws: prefixed tag key names are not allowed for external use.");
        while (k < n && !str_eq(items[k].key, tags->items[i].key)) k++;
        Str value = tags->items[i].value.ptr ? tags->items[i].value : S("");
        items[k] = (StrPair){ tags->items[i].key, value };
        if (k == n) n++;
    }
    if (n > TAGS_MAX) return api_fail(c, ACM_TOO_MANY_TAGS, "A certificate has at most %d tags", TAGS_MAX);
    *have = (StrMap){ items, n, n > 0 };
    return OK;
}

Err acm_add_tags_to_certificate(Call *c, const AcmAddTagsToCertificateIn *in, AcmAddTagsToCertificateOut *out) {
    (void)out;
    AcmCertificateRecord r;
    Err e = find(c, in->certificate_arn, &r);
    if (e == OK) e = merge_tags(c, &in->tags, &r.tags);
    return e == OK ? acm_certificate_record_put(c->txn, call_tenant(c), &r) : e;
}

Err acm_remove_tags_from_certificate(Call *c, const AcmRemoveTagsFromCertificateIn *in,
                                     AcmRemoveTagsFromCertificateOut *out) {
    (void)out;
    AcmCertificateRecord r;
    Err e = find(c, in->certificate_arn, &r);
    if (e != OK) return e;
    for (size_t i = 0; i < in->tags.n; i++)
        for (size_t k = 0; k < r.tags.n; k++) {
            const AcmTag *tag = &in->tags.items[i];
            bool same =
                str_eq(r.tags.items[k].key, tag->key) && (!tag->value.ptr || str_eq(r.tags.items[k].value, tag->value));
            if (same) r.tags.items[k--] = r.tags.items[--r.tags.n];
        }
    return acm_certificate_record_put(c->txn, call_tenant(c), &r);
}

Err acm_list_tags_for_certificate(Call *c, const AcmListTagsForCertificateIn *in, AcmListTagsForCertificateOut *out) {
    AcmCertificateRecord r;
    Err e = find(c, in->certificate_arn, &r);
    if (e != OK) return e;
    AcmTag *items = arena_array(c->arena, AcmTag, r.tags.n);
    for (size_t i = 0; i < r.tags.n; i++) items[i] = (AcmTag){ r.tags.items[i].key, r.tags.items[i].value };
    out->tags = (AcmTagList){ items, r.tags.n, true };
    return OK;
}

/* ------------------------------------------------------------------------------------------------ certificates */

Err acm_import_certificate(Call *c, const AcmImportCertificateIn *in, AcmImportCertificateOut *out) {
    AcmCertificateRecord r = { .created_ms = c->now_ms };
    ServerCertificate info;
    Str why;
    Err e = OK;
    if (in->certificate_arn.len) e = find(c, in->certificate_arn, &r);
    if (e == OK && in->certificate_arn.len && in->tags.n)
        e = api_fail(c, ACM_INVALID_PARAMETER, "Tags cannot be given where a certificate is imported again");
    if (e != OK) return e;
    e = server_certificate_read(in->certificate, in->certificate_chain, in->private_key, c->arena, &info, &why);
    if (e == OK && info.not_after_ms < real_ms()) {
        why = S("the certificate has expired");
        e = ERR_INVALID;
    }
    if (e != OK) return api_fail(c, ACM_VALIDATION, "The certificate cannot be imported: %.*s", PS(why));
    if (!r.certificate_id.len) r.certificate_id = rng_uuid(c->rng, c->arena);
    r.certificate_pem = in->certificate;
    r.chain_pem = in->certificate_chain;
    r.key_pem = in->private_key;
    r.imported_ms = c->now_ms;
    e = merge_tags(c, &in->tags, &r.tags);
    if (e == OK) e = acm_certificate_record_put(c->txn, call_tenant(c), &r);
    if (e != OK) return e;
    call_after(c, tell_domains, NULL); /* a renewed one is served from now on */
    out->certificate_arn = arn_of(c, r.certificate_id);
    return OK;
}

Err acm_get_certificate(Call *c, const AcmGetCertificateIn *in, AcmGetCertificateOut *out) {
    AcmCertificateRecord r;
    Err e = find(c, in->certificate_arn, &r);
    if (e == OK) *out = (AcmGetCertificateOut){ .certificate = r.certificate_pem, .certificate_chain = r.chain_pem };
    return e;
}

/* The configurations that name it. */
static Err users(Call *c, Str arn, StrList *out) {
    RecordScan *scan;
    DomainConfigurationRecord r;
    Str *items = NULL;
    size_t n = 0, cap = 0;
    Err e = domain_configuration_record_scan(c->txn, call_tenant(c), STR_NONE, false, &scan);
    if (e != OK) return e;
    while (domain_configuration_record_next(scan, c->arena, &r)) {
        if (!r.server_certificate_arns.n || !str_eq(r.server_certificate_arns.items[0], arn)) continue;
        if (n == cap) {
            Str *more = arena_array(c->arena, Str, cap = cap * 2 + 8);
            if (n) memcpy(more, items, n * sizeof *more);
            items = more;
        }
        items[n++] = call_arn(c, "iot", "domainconfiguration/%.*s/%.*s", PS(r.domain_configuration_name), PS(r.suffix));
    }
    *out = (StrList){ items, n, true };
    return record_scan_end(scan);
}

static Str status_of(const ServerCertificate *info) {
    return info->not_after_ms < real_ms() ? S("EXPIRED") : S("ISSUED");
}

Err acm_describe_certificate(Call *c, const AcmDescribeCertificateIn *in, AcmDescribeCertificateOut *out) {
    AcmCertificateRecord r;
    ServerCertificate info;
    StrList used;
    Err e = find(c, in->certificate_arn, &r);
    if (e == OK) e = read(c, &r, &info);
    if (e == OK) e = users(c, in->certificate_arn, &used);
    if (e != OK) return e;
    out->certificate = arena_new(c->arena, AcmCertificateDetail);
    *out->certificate = (AcmCertificateDetail){ .certificate_arn = in->certificate_arn,
                                                .domain_name = info.domain_name,
                                                .subject_alternative_names = { info.names, info.names_n, true },
                                                .serial = info.serial,
                                                .subject = info.subject,
                                                .issuer = info.issuer,
                                                .created_at = { true, r.created_ms },
                                                .imported_at = { true, r.imported_ms },
                                                .status = status_of(&info),
                                                .not_before = { true, info.not_before_ms },
                                                .not_after = { true, info.not_after_ms },
                                                .signature_algorithm = info.signature_algorithm,
                                                .in_use_by = used,
                                                .type = S("IMPORTED"),
                                                .renewal_eligibility = S("INELIGIBLE") };
    return OK;
}

Err acm_list_certificates(Call *c, const AcmListCertificatesIn *in, AcmListCertificatesOut *out) {
    RecordScan *scan;
    AcmCertificateRecord r;
    ServerCertificate info;
    Page page;
    Err e = OK;
    if (in->includes || in->certificate_key_pair_origins.n || in->sort_by.len)
        e = api_fail(c, ACM_VALIDATION, "Includes, CertificateKeyPairOrigins and SortBy are not implemented yet");
    if (e == OK) e = page_open(c, S(""), in->next_token, in->max_items, ACM_PAGE, &page);
    if (e == OK) e = acm_certificate_record_scan_all_by_created(c->txn, call_tenant(c), page.after, false, &scan);
    if (e != OK) return e;
    AcmCertificateSummary *items = arena_array(c->arena, AcmCertificateSummary, page.most);
    while (e == OK && acm_certificate_record_next(scan, c->arena, &r)) {
        bool wanted = !in->certificate_statuses.n;
        e = read(c, &r, &info);
        for (size_t i = 0; e == OK && i < in->certificate_statuses.n; i++)
            wanted |= str_eq(in->certificate_statuses.items[i], status_of(&info));
        if (e != OK || !wanted) continue;
        if (!page_take(&page, scan)) break;
        items[page.n - 1] =
            (AcmCertificateSummary){ .certificate_arn = arn_of(c, r.certificate_id),
                                     .domain_name = info.domain_name,
                                     .subject_alternative_name_summaries = { info.names, info.names_n, true },
                                     .status = status_of(&info),
                                     .type = S("IMPORTED"),
                                     .not_before = { true, info.not_before_ms },
                                     .not_after = { true, info.not_after_ms },
                                     .created_at = { true, r.created_ms },
                                     .imported_at = { true, r.imported_ms } };
    }
    out->certificate_summary_list = (AcmCertificateSummaryList){ items, page.n, true };
    out->next_token = page.next;
    Err end = record_scan_end(scan);
    return e == OK ? end : e;
}

Err acm_delete_certificate(Call *c, const AcmDeleteCertificateIn *in, AcmDeleteCertificateOut *out) {
    (void)out;
    AcmCertificateRecord r;
    StrList used;
    Err e = find(c, in->certificate_arn, &r);
    if (e == OK)
        e = acm_certificate_record_lock(c->txn, call_tenant(c), r.certificate_id); /* who uses it locks it, too */
    if (e == OK) e = users(c, in->certificate_arn, &used);
    if (e == OK && used.n)
        e = api_fail(c, ACM_RESOURCE_IN_USE, "Certificate %.*s in account %.*s is in use by %.*s.",
                     PS(in->certificate_arn), PS(c->account), PS(used.items[0]));
    return e == OK ? acm_certificate_record_delete(c->txn, call_tenant(c), r.certificate_id) : e;
}
