/* X.509: certificates, chains and signing requests taken apart and checked. Pure: no files, no store, no clock.
 * Everything that comes in may come from anybody: sizes are bounded, and each refusal says why.
 * Source: RFC 5280; AWS IoT developer guide, "X.509 client certificates". */
#pragma once

#include "identity/policy.h"

enum {
    X509_TEXT_BYTES_MAX = 65536, /* AWS's limit for a certificatePem */
    X509_DER_BYTES_MAX = 16384,
    X509_CHAIN_MAX = 8,
};

typedef struct {
    Str der;
    Str id;              /* certificateId: lower-case hex SHA-256 of der */
    Str subject, issuer; /* names as RFC 2253 texts */
    Str subject_der, issuer_der;
    Str common_name; /* of the subject, the first; STR_NONE: none */
    Str serial;      /* decimal, as AWS IoT shows it */
    Str key_type;    /* "RSA", "RSA-PSS", "EC", or OpenSSL's name of another */
    int key_bits;
    bool is_ca;       /* basic constraints say so; or version 1, self-issued */
    bool self_issued; /* subject and issuer are the same name */
    int64_t not_before_ms, not_after_ms;
    const PolicyVar *vars; /* iot:CertificateId, iot:Certificate.… ; a value that may not be put in is STR_NONE */
    size_t vars_n;
} CertInfo;

/* One certificate, PEM (the first CERTIFICATE block; text around it is ignored) or DER.
 * Errors: ERR_MALFORMED, ERR_LIMIT; *why then says what is wrong. Owns: all of *out lives in the arena. */
NODISCARD Err x509_parse(Str pem_or_der, Arena *arena, CertInfo *out, Str *why);
/* As many certificates as the PEM text holds, at least one. Errors: as x509_parse; ERR_LIMIT over X509_CHAIN_MAX */
NODISCARD Err x509_parse_chain(Str pem, Arena *arena, CertInfo **out, size_t *out_n, Str *why);

/* Signature algorithm, key type and key size are ones that AWS IoT takes. Errors: ERR_INVALID */
NODISCARD Err x509_check_algorithms(const CertInfo *cert, Arena *arena, Str *why);
/* Errors: ERR_INVALID outside of not_before..not_after */
NODISCARD Err x509_check_dates(const CertInfo *cert, int64_t now_ms, Arena *arena, Str *why);
/* `ca` is a CA, carries the issuer's name, and its key made the signature. Errors: ERR_INVALID */
NODISCARD Err x509_check_signed_by(const CertInfo *cert, const CertInfo *ca, Arena *arena, Str *why);
/* Each is signed by the next, all are within their dates. Errors: ERR_INVALID */
NODISCARD Err x509_check_chain(const CertInfo *chain, size_t n, int64_t now_ms, Arena *arena, Str *why);

typedef struct {
    Str der;
    Str subject, common_name;
    Str key_type;
    int key_bits;
} CsrInfo;

/* A PKCS#10 request, PEM or DER: its own signature holds, its key is one that AWS IoT takes.
 * Errors: ERR_MALFORMED, ERR_LIMIT, ERR_INVALID */
NODISCARD Err x509_parse_csr(Str pem_or_der, Arena *arena, CsrInfo *out, Str *why);

/* Whether the certificate (DER) has the request's key and subject. */
bool x509_is_of_request(Str certificate_der, Str csr_der);

Str x509_pem(Arena *arena, Str der);         /* "-----BEGIN CERTIFICATE-----…", lines of 64, a newline at the end */
Str x509_fingerprint(Arena *arena, Str der); /* lower-case hex SHA-256 */
