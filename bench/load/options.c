#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Options opt = { .host = "127.0.0.1",
                .prefix = "perf",
                .port = 1883,
                .clients = 50,
                .pubs = 1,
                .size = 64,
                .threads = 1,
                .window = 50,
                .keepalive = 300,
                .conc = 64,
                .srcips = 1,
                .subsper = 50,
                .seconds = 5,
                .warmup = 1,
                .ramp_limit = 120,
                .clean = 1 };

static const char usage[] =
    "usage: mqload MODE [options]    MODE: connect resume fanin interleaved fanout shared wildcard "
    "shadow\n"
    "  --host A --port N --tls[=1.2|1.3|any] --cafile F --cert F --key F --alpn S --sni S --ciphers S --insecure\n"
    "  --clients N --subs N --pubs N --qos 0|1 --size B --rate MSGS/S --window N --seconds S --warmup S --threads N\n"
    "  --topic-prefix S --client-prefix S --user S --pass S --keepalive S --concurrency N --source-ips N --v5 "
    "--no-clean\n"
    "  --wild N --depth N --shape device|plus|branch --match --subs-per-conn N\n"
    "  --pid P[,P] (the broker's, for CPU and RSS) --label S --ramp-limit S\n";
enum {
    O_HOST = 256,
    O_PORT,
    O_TLS,
    O_CA,
    O_CERT,
    O_KEY,
    O_ALPN,
    O_SNI,
    O_CIPH,
    O_INSEC,
    O_CLIENTS,
    O_SUBS,
    O_PUBS,
    O_QOS,
    O_SIZE,
    O_RATE,
    O_WINDOW,
    O_SECONDS,
    O_WARMUP,
    O_THREADS,
    O_PREFIX,
    O_IDPREFIX,
    O_USER,
    O_PASS,
    O_KEEP,
    O_CONC,
    O_SRC,
    O_V5,
    O_NOCLEAN,
    O_WILD,
    O_DEPTH,
    O_SHAPE,
    O_MATCH,
    O_SUBSPER,
    O_PID,
    O_LABEL,
    O_RAMP
};
static const struct option opts[] = { { "host", 1, 0, O_HOST },
                                      { "port", 1, 0, O_PORT },
                                      { "tls", 2, 0, O_TLS },
                                      { "cafile", 1, 0, O_CA },
                                      { "cert", 1, 0, O_CERT },
                                      { "key", 1, 0, O_KEY },
                                      { "alpn", 1, 0, O_ALPN },
                                      { "sni", 1, 0, O_SNI },
                                      { "ciphers", 1, 0, O_CIPH },
                                      { "insecure", 0, 0, O_INSEC },
                                      { "clients", 1, 0, O_CLIENTS },
                                      { "subs", 1, 0, O_SUBS },
                                      { "pubs", 1, 0, O_PUBS },
                                      { "qos", 1, 0, O_QOS },
                                      { "size", 1, 0, O_SIZE },
                                      { "rate", 1, 0, O_RATE },
                                      { "window", 1, 0, O_WINDOW },
                                      { "seconds", 1, 0, O_SECONDS },
                                      { "warmup", 1, 0, O_WARMUP },
                                      { "threads", 1, 0, O_THREADS },
                                      { "topic-prefix", 1, 0, O_PREFIX },
                                      { "client-prefix", 1, 0, O_IDPREFIX },
                                      { "user", 1, 0, O_USER },
                                      { "pass", 1, 0, O_PASS },
                                      { "keepalive", 1, 0, O_KEEP },
                                      { "concurrency", 1, 0, O_CONC },
                                      { "source-ips", 1, 0, O_SRC },
                                      { "v5", 0, 0, O_V5 },
                                      { "no-clean", 0, 0, O_NOCLEAN },
                                      { "wild", 1, 0, O_WILD },
                                      { "depth", 1, 0, O_DEPTH },
                                      { "shape", 1, 0, O_SHAPE },
                                      { "match", 0, 0, O_MATCH },
                                      { "subs-per-conn", 1, 0, O_SUBSPER },
                                      { "pid", 1, 0, O_PID },
                                      { "label", 1, 0, O_LABEL },
                                      { "ramp-limit", 1, 0, O_RAMP },
                                      { 0, 0, 0, 0 } };

void options_read(int ac, char **av) {
    static const char *names[] = {
        "connect", "fanin", "fanout", "shared", "wildcard", "interleaved", "resume", "shadow"
    };
    int r;
    char *s, *t;
    if (ac < 2) die("%s", usage);
    for (r = 0; r <= MODE_SHADOW && strcmp(av[1], names[r]); r++)
        ;
    if (r > MODE_SHADOW) die("%s", usage);
    opt.mode = r;
    opt.mode_name = names[r];
    optind = 2;
    while ((r = getopt_long(ac, av, "", opts, NULL)) != -1) switch (r) {
        case O_HOST: opt.host = optarg; break;
        case O_PORT: opt.port = atoi(optarg); break;
        case O_TLS: opt.tlsver = optarg ? optarg : "any"; break;
        case O_CA: opt.cafile = optarg; break;
        case O_CERT: opt.cert = optarg; break;
        case O_KEY: opt.key = optarg; break;
        case O_ALPN: opt.alpn = optarg; break;
        case O_SNI: opt.sni = optarg; break;
        case O_CIPH: opt.ciphers = optarg; break;
        case O_INSEC: opt.insecure = 1; break;
        case O_CLIENTS: opt.clients = atoi(optarg); break;
        case O_SUBS: opt.subs = atoi(optarg); break;
        case O_PUBS: opt.pubs = atoi(optarg); break;
        case O_QOS: opt.qos = atoi(optarg); break;
        case O_SIZE: opt.size = atoi(optarg); break;
        case O_RATE: opt.rate = atof(optarg); break;
        case O_WINDOW: opt.window = atoi(optarg); break;
        case O_SECONDS: opt.seconds = atof(optarg); break;
        case O_WARMUP: opt.warmup = atof(optarg); break;
        case O_THREADS: opt.threads = atoi(optarg); break;
        case O_PREFIX: opt.prefix = optarg; break;
        case O_IDPREFIX: opt.idprefix = optarg; break;
        case O_USER: opt.user = optarg; break;
        case O_PASS: opt.pass = optarg; break;
        case O_KEEP: opt.keepalive = atoi(optarg); break;
        case O_CONC: opt.conc = atoi(optarg); break;
        case O_SRC: opt.srcips = atoi(optarg); break;
        case O_V5: opt.v5 = 1; break;
        case O_NOCLEAN: opt.clean = 0; break;
        case O_WILD: opt.wild = atoi(optarg); break;
        case O_DEPTH: opt.depth = atoi(optarg); break;
        case O_SHAPE: opt.shape = *optarg == 'p' ? SHAPE_PLUS : *optarg == 'b' ? SHAPE_BRANCH : SHAPE_DEVICE; break;
        case O_MATCH: opt.match = 1; break;
        case O_SUBSPER: opt.subsper = atoi(optarg); break;
        case O_PID:
            for (s = optarg; (t = strsep(&s, ",")) && opt.npid < PIDS_MAX;)
                if (*t) opt.pid[opt.npid++] = atoi(t);
            break;
        case O_LABEL: opt.label = optarg; break;
        case O_RAMP: opt.ramp_limit = atof(optarg); break;
        default: die("%s", usage);
        }
    if (opt.size < 16) opt.size = 16;
    if (opt.mode == MODE_SHADOW) opt.size = SHADOW_BYTES;
    if (opt.size > 131072 || opt.qos > 1 || opt.threads < 1 || opt.clients < 1 || opt.window < 1 || opt.subsper < 1 ||
        strlen(opt.prefix) > 64)
        die("an option is out of range");
    if (opt.mode == MODE_WILDCARD && opt.wild < 1) die("--wild N is needed");
    if (opt.mode == MODE_INTERLEAVED && opt.threads > 1) die("interleaved takes one thread");
    if (opt.mode == MODE_RESUME && !opt.tlsver) die("resume needs --tls");
    if (!opt.idprefix) {
        char *b = zeroed(32);
        snprintf(b, 32, "mq%d", (int)getpid());
        opt.idprefix = b;
    }
    if (!opt.label) opt.label = opt.mode_name;
}
