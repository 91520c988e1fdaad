#include "identity/x509_vars.h"

#include <arpa/inet.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "base/writer.h"

typedef struct {
    Arena *arena;
    PolicyVar *vars;
    size_t n, cap;
} Vars;

static const struct {
    int nid;
    const char *name;
} NAME_PARTS[] = {
    { NID_dnQualifier, "DistinguishedNameQualifier" },
    { NID_countryName, "Country" },
    { NID_organizationName, "Organization" },
    { NID_organizationalUnitName, "OrganizationalUnit" },
    { NID_stateOrProvinceName, "State" },
    { NID_commonName, "CommonName" },
    { NID_serialNumber, "SerialNumber" },
    { NID_title, "Title" },
    { NID_surname, "Surname" },
    { NID_givenName, "GivenName" },
    { NID_initials, "Initials" },
    { NID_pseudonym, "Pseudonym" },
    { NID_generationQualifier, "GenerationQualifier" },
};
static const struct {
    int type;
    const char *name;
} ALT_NAMES[] = {
    { GEN_EMAIL, "RFC822Name" },      { GEN_DNS, "DNSName" },
    { GEN_DIRNAME, "DirectoryName" }, { GEN_URI, "UniformResourceIdentifier" },
    { GEN_IPADD, "IPAddress" },
};
#define COUNT(table) (sizeof(table) / sizeof *(table))
enum { VARS_MAX = 2 + 2 * (COUNT(NAME_PARTS) + COUNT(ALT_NAMES)) };

static Str clean(Arena *arena, Str text) {
    return text.ptr ? policy_clean_certificate_value(text, arena) : STR_NONE;
}

/* The UTF-8 of an ASN.1 string, copied; STR_NONE when it has none. */
static Str utf8_of(Arena *arena, const ASN1_STRING *s) {
    unsigned char *text = NULL;
    int n = ASN1_STRING_to_UTF8(&text, s);
    if (n < 0) return STR_NONE;
    Str out = str_dup(arena, (Str){ text, (size_t)n });
    OPENSSL_free(text);
    return out;
}

static void vars_add(Vars *v, Str name, const Str *values, size_t n) {
    if (n == 0 || v->n == v->cap) return;
    Str *copy = arena_array(v->arena, Str, n);
    memcpy(copy, values, n * sizeof *copy);
    v->vars[v->n++] = (PolicyVar){ name, copy, n };
}

static void add_name(Vars *v, const char *side, const X509_NAME *name) {
    for (size_t i = 0; i < COUNT(NAME_PARTS); i++) {
        Str values[POLICY_CERTIFICATE_VALUES_MAX];
        size_t n = 0;
        for (int at = -1; n < POLICY_CERTIFICATE_VALUES_MAX;) {
            at = X509_NAME_get_index_by_NID(name, NAME_PARTS[i].nid, at);
            if (at < 0) break;
            values[n++] = clean(v->arena, utf8_of(v->arena, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))));
        }
        vars_add(v, str_format(v->arena, "iot:Certificate.%s.%s", side, NAME_PARTS[i].name), values, n);
    }
}

/* Shape: cn=LightBulb,ou=SmartHome,c=US: the last part first, the types in lower case */
static Str directory_name(Arena *arena, const X509_NAME *name) {
    Writer w = writer_in(arena);
    for (int i = X509_NAME_entry_count(name) - 1; i >= 0; i--) {
        X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        Str value = clean(arena, utf8_of(arena, X509_NAME_ENTRY_get_data(entry)));
        if (!value.ptr) return STR_NONE;
        char oid[128]; /* a short name, or digits where OpenSSL knows none */
        const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
        int nid = OBJ_obj2nid(object);
        if (nid != NID_undef)
            OPENSSL_strlcpy(oid, OBJ_nid2sn(nid), sizeof oid);
        else if (OBJ_obj2txt(oid, sizeof oid, object, 1) < 0)
            return STR_NONE;
        for (char *c = oid; *c; c++)
            if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + 'a' - 'A');
        writer_format(&w, "%s%s=%.*s", w.len ? "," : "", oid, PS(value));
    }
    Str text = writer_str(&w);
    return text.len <= POLICY_CERTIFICATE_VALUE_BYTES_MAX ? text : STR_NONE;
}

static Str ip_text(Arena *arena, const ASN1_STRING *s) {
    char text[INET6_ADDRSTRLEN];
    int n = ASN1_STRING_length(s);
    int family = n == 4 ? AF_INET : n == 16 ? AF_INET6 : AF_UNSPEC;
    if (family == AF_UNSPEC || !inet_ntop(family, ASN1_STRING_get0_data(s), text, sizeof text)) return STR_NONE;
    return str_dup(arena, str_c(text));
}

static Str alt_name_value(Arena *arena, const GENERAL_NAME *name) {
    switch (name->type) {
    case GEN_EMAIL: return clean(arena, utf8_of(arena, name->d.rfc822Name));
    case GEN_DNS: return clean(arena, utf8_of(arena, name->d.dNSName));
    case GEN_URI: return clean(arena, utf8_of(arena, name->d.uniformResourceIdentifier));
    case GEN_DIRNAME: return directory_name(arena, name->d.directoryName);
    case GEN_IPADD: return ip_text(arena, name->d.iPAddress);
    default: return STR_NONE;
    }
}

static void add_alt_names(Vars *v, const char *side, X509 *cert, int nid) {
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, nid, NULL, NULL);
    for (size_t i = 0; i < COUNT(ALT_NAMES); i++) {
        Str values[POLICY_CERTIFICATE_VALUES_MAX];
        size_t n = 0;
        for (int j = 0; j < sk_GENERAL_NAME_num(names) && n < POLICY_CERTIFICATE_VALUES_MAX; j++) {
            const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, j);
            if (name->type == ALT_NAMES[i].type) values[n++] = alt_name_value(v->arena, name);
        }
        vars_add(v, str_format(v->arena, "iot:Certificate.%s.AlternativeName.%s", side, ALT_NAMES[i].name), values, n);
    }
    GENERAL_NAMES_free(names); /* accepts NULL */
}

const PolicyVar *x509_vars(X509 *cert, Str certificate_id, Str serial_decimal, Arena *arena, size_t *out_n) {
    Vars v = { .arena = arena, .vars = arena_array(arena, PolicyVar, VARS_MAX), .cap = VARS_MAX };
    vars_add(&v, S("iot:CertificateId"), &certificate_id, 1);
    vars_add(&v, S("iot:Certificate.SerialNumber"), &serial_decimal, 1);
    add_name(&v, "Issuer", X509_get_issuer_name(cert));
    add_name(&v, "Subject", X509_get_subject_name(cert));
    add_alt_names(&v, "Issuer", cert, NID_issuer_alt_name);
    add_alt_names(&v, "Subject", cert, NID_subject_alt_name);
    *out_n = v.n;
    return v.vars;
}
