/* Kerberos (GSSAPI) is refused though Debian's librdkafka has it: it runs `kinit` in a shell with the principal as the
 * rule's author wrote it (sasl.kerberos.kinit.cmd), and realm and KDC come from one krb5.conf a process.
 *
 * The properties of a kafka action are those of Kafka's Java client; this says which there are, and what librdkafka
 * calls them. Stores come as base64 or as texts in PEM, as get_secret gives them.
 * Source: AWS IoT developer guide, "Apache Kafka", client properties; librdkafka's CONFIGURATION.md */
#include "rules/kafka_properties.h"

#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <string.h>

#include "base/encode.h"

enum { STORE_BYTES_MAX = 65536, PORT_MIN = 9000, PORT_MAX = 9100, PORT_ANY_MAX = 65535 };

typedef enum { SAME, IGNORED, SERVERS, STORE_TRUST, STORE_KEY, PASSWORD, REFUSED } How;

typedef struct {
    const char *name;
    How how;
    const char *ours;        /* librdkafka's name; NULL: the same */
    const char *const *only; /* the values that there are; NULL: any */
} Property;

static const char *const ACKS[] = { "0", "1", "-1", "all", NULL };
static const char *const COMPRESSION[] = { "none", "gzip", "snappy", "lz4", "zstd", NULL };
static const char *const PROTOCOL[] = { "SSL", "SASL_SSL", "PLAINTEXT", "SASL_PLAINTEXT", NULL };
static const char *const MECHANISM[] = { "PLAIN", "SCRAM-SHA-512", NULL };
static const char *const KEY_SERIALIZER[] = { "org.apache.kafka.common.serialization.StringSerializer", NULL };
static const char *const VALUE_SERIALIZER[] = { "org.apache.kafka.common.serialization.ByteBufferSerializer", NULL };

static const Property PROPERTIES[] = {
    { "acks", SAME, NULL, ACKS },
    { "bootstrap.servers", SERVERS, NULL, NULL },
    { "compression.type", SAME, NULL, COMPRESSION },
    { "key.serializer", IGNORED, NULL, KEY_SERIALIZER },
    { "sasl.kerberos.keytab", REFUSED, NULL, NULL },
    { "sasl.kerberos.krb5.kdc", REFUSED, NULL, NULL },
    { "sasl.kerberos.krb5.realm", REFUSED, NULL, NULL },
    { "sasl.kerberos.principal", REFUSED, NULL, NULL },
    { "sasl.kerberos.service.name", REFUSED, NULL, NULL },
    { "sasl.mechanism", SAME, "sasl.mechanisms", MECHANISM },
    { "sasl.plain.password", SAME, "sasl.password", NULL },
    { "sasl.plain.username", SAME, "sasl.username", NULL },
    { "sasl.scram.password", SAME, "sasl.password", NULL },
    { "sasl.scram.username", SAME, "sasl.username", NULL },
    { "security.protocol", SAME, NULL, PROTOCOL },
    { "ssl.key.password", PASSWORD, NULL, NULL },
    { "ssl.keystore", STORE_KEY, NULL, NULL },
    { "ssl.keystore.password", PASSWORD, NULL, NULL },
    { "ssl.truststore", STORE_TRUST, NULL, NULL },
    { "ssl.truststore.password", PASSWORD, NULL, NULL },
    { "value.serializer", IGNORED, NULL, VALUE_SERIALIZER },
};

static const Property *find(Str name) {
    for (size_t i = 0; i < sizeof PROPERTIES / sizeof *PROPERTIES; i++)
        if (str_eq(name, str_c(PROPERTIES[i].name))) return &PROPERTIES[i];
    return NULL;
}

static Str value_of(StrMap m, const char *name) {
    for (size_t i = 0; i < m.n; i++)
        if (str_eq(m.items[i].key, str_c(name))) return m.items[i].value;
    return STR_NONE;
}

static Err wrong(Str *why, Str text) {
    *why = text;
    return ERR_INVALID;
}

/* ------------------------------------------------------------------------------------------------ checks */

static Err check_servers(Str value, bool plain, Arena *arena, Str *why) {
    Str rest = value;
    while (rest.ptr) {
        Str one = str_trim(str_cut(&rest, ',')), port = one;
        int64_t n = 0;
        while (port.ptr && str_find(port, ':') != SIZE_MAX) str_cut(&port, ':');
        bool ok = port.len < one.len && str_to_i64(port, &n) == OK && n >= (plain ? 1 : PORT_MIN) &&
                  n <= (plain ? PORT_ANY_MAX : PORT_MAX);
        if (!ok)
            return wrong(why, str_format(arena,
                                         "bootstrap.servers is HOST:PORT, with ports from %d to %d and commas "
                                         "between them, got '%.*s'",
                                         plain ? 1 : PORT_MIN, plain ? PORT_ANY_MAX : PORT_MAX, PS(one)));
    }
    return OK;
}

static Err check_only(const Property *p, Str value, Arena *arena, Str *why) {
    Str all = S("");
    for (size_t i = 0; p->only && p->only[i]; i++) {
        if (str_eq(value, str_c(p->only[i]))) return OK;
        all = str_format(arena, "%.*s%s%s", PS(all), i ? ", " : "", p->only[i]);
    }
    return p->only ? wrong(why, str_format(arena, "%s is one of %.*s, got '%.*s'", p->name, PS(all), PS(value))) : OK;
}

/* A store as it came: PEM, or the bytes that base64 stands for. What is in it only its password opens. */
static Err check_store(const Property *p, Str value, Arena *arena, Str *why) {
    static const uint8_t JKS[] = { 0xfe, 0xed, 0xfe, 0xed }, JCEKS[] = { 0xce, 0xce, 0xce, 0xce };
    Str der;
    if (!value.len || str_find_str(value, S("-----BEGIN ")) != SIZE_MAX) return OK;
    if (base64_decode(arena, value, &der) != OK || !der.len)
        return wrong(why, str_format(arena, "%s is neither PEM nor base64 of a PKCS#12 store", p->name));
    if (der.len >= sizeof JKS && (memcmp(der.ptr, JKS, sizeof JKS) == 0 || memcmp(der.ptr, JCEKS, sizeof JCEKS) == 0))
        return wrong(why, str_format(arena,
                                     "%s is a store of Java's own format (JKS), which this server does not read: make "
                                     "PKCS#12 of it with keytool -importkeystore -srckeystore FILE -destkeystore "
                                     "FILE.p12 -deststoretype PKCS12, or give PEM",
                                     p->name));
    enum { DER_SEQUENCE = 0x30 };
    if (der.ptr[0] == DER_SEQUENCE) return OK;
    return wrong(why, str_format(arena, "%s is neither PEM nor base64 of a PKCS#12 store", p->name));
}

static Err check_one(StrPair pair, bool plain, Arena *arena, Str *why) {
    const Property *p = find(pair.key);
    if (!p) return wrong(why, str_format(arena, "clientProperties has no property '%.*s'", PS(pair.key)));
    if (p->how == REFUSED || (p->only == MECHANISM && str_eq(pair.value, S("GSSAPI"))))
        return wrong(why, str_format(arena,
                                     "%s: there is no Kerberos here, which would run kinit with a rule's words in one "
                                     "realm for all accounts; SASL has PLAIN and SCRAM-SHA-512",
                                     p->name));
    if (str_find_str(pair.value, S("${")) != SIZE_MAX) return OK;
    if (p->how == SERVERS) return check_servers(pair.value, plain, arena, why);
    if (pair.value.len > STORE_BYTES_MAX)
        return wrong(why, str_format(arena, "%s is longer than %d bytes", p->name, STORE_BYTES_MAX));
    if (p->how == STORE_TRUST || p->how == STORE_KEY) return check_store(p, pair.value, arena, why);
    return check_only(p, pair.value, arena, why);
}

Err kafka_properties_check(StrMap m, bool plain, Arena *arena, Str *why) {
    Err e = OK;
    for (size_t i = 0; e == OK && i < m.n; i++) e = check_one(m.items[i], plain, arena, why);
    if (e != OK) return e;
    Str protocol = value_of(m, "security.protocol");
    if (!value_of(m, "bootstrap.servers").len) return wrong(why, S("clientProperties needs bootstrap.servers"));
    bool clear = !protocol.len || str_eq(protocol, S("PLAINTEXT")) || str_eq(protocol, S("SASL_PLAINTEXT"));
    if (clear && !plain)
        return wrong(why, S("security.protocol is SSL or SASL_SSL (others are for servers with --rules-plain-http)"));
    return OK;
}

/* ------------------------------------------------------------------------------------------------ stores */

static Str bio_text(BIO *bio, Arena *arena) {
    char *bytes;
    long n = BIO_get_mem_data(bio, &bytes);
    return n > 0 ? str_dup(arena, (Str){ (const uint8_t *)bytes, (size_t)n }) : S("");
}

typedef struct {
    Str certs, key; /* PEM */
} Store;

static Err read_pkcs12(Str der, const char *password, Arena *arena, Store *out) {
    const unsigned char *at = der.ptr;
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    STACK_OF(X509) *more = NULL;
    PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)der.len);
    if (!p12) return ERR_MALFORMED;
    bool ok = PKCS12_parse(p12, password, &key, &cert, &more) == 1;
    PKCS12_free(p12);
    if (!ok) return ERR_DENIED;
    BIO *certs = BIO_new(BIO_s_mem()), *keys = BIO_new(BIO_s_mem());
    if (cert) PEM_write_bio_X509(certs, cert);
    for (int i = 0; more && i < sk_X509_num(more); i++) PEM_write_bio_X509(certs, sk_X509_value(more, i));
    if (key) PEM_write_bio_PrivateKey(keys, key, NULL, NULL, 0, NULL, NULL);
    *out = (Store){ bio_text(certs, arena), bio_text(keys, arena) };
    BIO_free(certs);
    BIO_free(keys);
    X509_free(cert);
    EVP_PKEY_free(key);
    sk_X509_pop_free(more, X509_free);
    return OK;
}

static Err read_store(const Property *p, Str text, Str password, Arena *arena, Store *out, Str *why) {
    if (str_find_str(text, S("-----BEGIN ")) != SIZE_MAX) {
        *out = (Store){ text, text };
        return OK;
    }
    Str der = S("");
    char *pass = str_dup_c(arena, password);
    Err e = base64_decode(arena, text, &der) == OK ? read_pkcs12(der, pass, arena, out) : ERR_MALFORMED;
    if (e == OK) return OK;
    return wrong(why,
                 str_format(arena, e == ERR_DENIED ? "%s cannot be opened with its password" : "%s is no PKCS#12 store",
                            p->name));
}

/* ------------------------------------------------------------------------------------------------ librdkafka's */

static Err set(rd_kafka_conf_t *conf, const char *name, Str value, Arena *arena, Str *why) {
    char fault[512];
    if (rd_kafka_conf_set(conf, name, str_dup_c(arena, value), fault, sizeof fault) == RD_KAFKA_CONF_OK) return OK;
    return wrong(why, str_format(arena, "%s", fault));
}

static Err set_store(rd_kafka_conf_t *conf, const Property *p, StrMap m, Str value, Arena *arena, Str *why) {
    Store s;
    bool trust = p->how == STORE_TRUST;
    Str password = value_of(m, trust ? "ssl.truststore.password" : "ssl.keystore.password");
    Err e = read_store(p, value, password, arena, &s, why);
    if (e != OK || trust) return e == OK ? set(conf, "ssl.ca.pem", s.certs, arena, why) : e;
    e = set(conf, "ssl.certificate.pem", s.certs, arena, why);
    if (e == OK) e = set(conf, "ssl.key.pem", s.key, arena, why);
    Str key_password = value_of(m, "ssl.key.password");
    if (e == OK && key_password.len) e = set(conf, "ssl.key.password", key_password, arena, why);
    return e;
}

Err kafka_properties_apply(StrMap m, rd_kafka_conf_t *conf, Arena *arena, Str *why) {
    Err e = OK;
    for (size_t i = 0; e == OK && i < m.n; i++) {
        const Property *p = find(m.items[i].key);
        Str value = m.items[i].value;
        if (!p || !value.len) continue;
        if (p->how == SAME || p->how == SERVERS) e = set(conf, p->ours ? p->ours : p->name, value, arena, why);
        if (p->how == STORE_TRUST || p->how == STORE_KEY) e = set_store(conf, p, m, value, arena, why);
    }
    return e;
}
