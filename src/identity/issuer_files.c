#include "identity/issuer_files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/writer.h"
#include "identity/x509_make.h"

/* A write goes to NAME.new, is synced, renamed over NAME, and the directory is synced: after a crash the file is the
 * old one or the new one. */

enum { FILE_BYTES_MAX = 256 * 1024, BUNDLE_BYTES_MAX = 4 << 20 };

void pair_free(KeyPair *pair) {
    EVP_PKEY_free(pair->key);
    X509_free(pair->cert);
    *pair = (KeyPair){ 0 };
}

static Err io_failed(Arena *arena, Str *why, const char *verb, const char *path) {
    int error = errno;
    *why = str_format(arena, "cannot %s %s: %s", verb, path, strerror(error));
    return ERR_IO;
}

static const char *path_of(Arena *arena, Str dir, const char *file) {
    return (const char *)str_format(arena, "%.*s/%s%c", PS(dir), file, 0).ptr;
}

static Err make_dir(const char *path, Arena *arena, Str *why) {
    if (mkdir(path, 0700) == 0 || errno == EEXIST) return OK;
    return io_failed(arena, why, "make directory", path);
}

Err issuer_dirs(Str dir, Arena *arena, Str *why) {
    Err e = make_dir(str_dup_c(arena, dir), arena, why);
    return e == OK ? make_dir(path_of(arena, dir, "pki"), arena, why) : e;
}

static Err read_at_most(const char *path, size_t bytes_max, Arena *arena, Str *out, Str *why) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        bool missing = errno == ENOENT;
        Err e = io_failed(arena, why, "read", path);
        return missing ? ERR_NOT_FOUND : e;
    }
    uint8_t *bytes = arena_bytes(arena, bytes_max);
    size_t n = 0;
    ssize_t got;
    while (n < bytes_max && (got = read(fd, bytes + n, bytes_max - n)) != 0) {
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) break;
        n += (size_t)got;
    }
    Err e = n < bytes_max && got < 0 ? io_failed(arena, why, "read", path) : OK;
    close(fd);
    if (e == OK && n == bytes_max) {
        *why = str_format(arena, "%s is larger than %zu bytes", path, bytes_max);
        e = ERR_CORRUPT;
    }
    if (e == OK) *out = (Str){ bytes, n };
    return e;
}

static Err read_whole(const char *path, Arena *arena, Str *out, Str *why) {
    return read_at_most(path, FILE_BYTES_MAX, arena, out, why);
}

static bool write_all(int fd, Str bytes) {
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        bytes = str_from(bytes, (size_t)n);
    }
    return true;
}

static void sync_dir(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd); /* what cannot be synced is made again at the next start */
    close(fd);
}

static Err write_whole(Str dir, const char *file, mode_t mode, Str bytes, Arena *arena, Str *why) {
    const char *path = path_of(arena, dir, file);
    const char *fresh = (const char *)str_format(arena, "%s.new%c", path, 0).ptr;
    unlink(fresh); /* what a crash left, with whatever mode it had */
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) return io_failed(arena, why, "write", fresh);
    bool ok = fchmod(fd, mode) == 0 && write_all(fd, bytes) && fsync(fd) == 0;
    Err e = ok ? OK : io_failed(arena, why, "write", fresh);
    close(fd);
    if (e == OK && rename(fresh, path) != 0) e = io_failed(arena, why, "rename", fresh);
    if (e != OK)
        unlink(fresh);
    else
        sync_dir(str_dup_c(arena, dir));
    return e;
}

/* No passphrase is ever asked for on a terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *ctx) {
    (void)buffer, (void)size, (void)writing, (void)ctx;
    return -1;
}

static EVP_PKEY *key_from(Str pem) {
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return key;
}

static X509 *cert_from(Str pem) {
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return cert;
}

Err pair_load(Str dir, const char *file, KeyPair *out, Arena *arena, Str *why) {
    const char *path = path_of(arena, dir, (const char *)str_format(arena, "pki/%s%c", file, 0).ptr);
    Str text;
    Err e = read_whole(path, arena, &text, why);
    if (e != OK) return e;
    KeyPair pair = { key_from(text), cert_from(text) };
    bool whole = pair.key && pair.cert && X509_check_private_key(pair.cert, pair.key) == 1;
    ERR_clear_error();
    OPENSSL_cleanse((void *)(uintptr_t)text.ptr, text.len);
    if (!whole) {
        pair_free(&pair);
        *why = str_format(
            arena,
            "%s is damaged: it does not hold a private key and its certificate; put back a copy of it, or remove it "
            "and a new one is made (a new CA is one that devices do not trust yet)",
            path);
        return ERR_CORRUPT;
    }
    *out = pair;
    return OK;
}

Err pair_save(Str dir, const char *file, const KeyPair *pair, Arena *arena, Str *why) {
    Str key = x509_private_pem(arena, pair->key), cert = x509_pem_of(arena, pair->cert);
    if (!key.ptr || !cert.ptr) {
        *why = str_format(arena, "OpenSSL could not write the key for %s", file);
        return ERR_IO;
    }
    Str text = str_format(arena, "%.*s%.*s", PS(key), PS(cert));
    Err e = write_whole(str_format(arena, "%.*s/pki", PS(dir)), file, 0600, text, arena, why);
    OPENSSL_cleanse((void *)(uintptr_t)text.ptr, text.len);
    OPENSSL_cleanse((void *)(uintptr_t)key.ptr, key.len);
    return e;
}

Err ca_pem_save(Str dir, Str pem, Arena *arena, Str *why) {
    Str now;
    Err e = read_whole(path_of(arena, dir, "ca.pem"), arena, &now, why);
    if (e == OK && str_eq(now, pem)) return OK;
    return write_whole(dir, "ca.pem", 0644, pem, arena, why);
}

/* Source: where Debian and Alpine, Fedora, and openSUSE keep it */
static const char *const SYSTEM_LISTS[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                            "/etc/ssl/ca-bundle.pem" };

Err ca_bundle_save(Str dir, Str pem, Arena *arena, Str *why) {
    const char *path = path_of(arena, dir, CA_BUNDLE_FILE);
    Str system = STR_NONE, now, unused;
    for (size_t i = 0; i < sizeof SYSTEM_LISTS / sizeof *SYSTEM_LISTS && !system.len; i++)
        if (read_at_most(SYSTEM_LISTS[i], BUNDLE_BYTES_MAX, arena, &system, &unused) != OK) system = STR_NONE;
    if (!system.len) {
        unlink(path); /* of a time when the system had one */
        return OK;
    }
    Str all = str_format(arena, "%.*s\n%.*s", PS(system), PS(pem));
    if (read_at_most(path, 2 * BUNDLE_BYTES_MAX, arena, &now, &unused) == OK && str_eq(now, all)) return OK;
    return write_whole(dir, CA_BUNDLE_FILE, 0644, all, arena, why);
}

Err given_load(const char *chain_file, const char *key_file, Arena *arena, Str *chain_pem, Str *key_pem, Str *why) {
    Str chain, key_text;
    Err e = read_whole(chain_file, arena, &chain, why);
    if (e == OK) e = read_whole(key_file, arena, &key_text, why);
    if (e != OK) return e == ERR_NOT_FOUND ? ERR_IO : e;
    X509 *cert = cert_from(chain);
    EVP_PKEY *key = key_from(key_text);
    if (!cert)
        *why = str_format(arena, "%s does not begin with a PEM certificate", chain_file);
    else if (!key)
        *why = str_format(arena, "%s does not hold a PEM private key without passphrase", key_file);
    else if (X509_check_private_key(cert, key) != 1)
        *why = str_format(arena, "the key in %s is not that of the first certificate in %s", key_file, chain_file);
    else {
        *chain_pem = chain;
        *key_pem = key_text;
    }
    e = cert && key && X509_check_private_key(cert, key) == 1 ? OK : ERR_INVALID;
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return e;
}
