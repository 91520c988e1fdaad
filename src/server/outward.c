#include "server/outward.h"

#include "aws/client.h"
#include "aws/folder.h"

Err outward_open(Server *s, Str *why) {
    const Settings *o = &s->settings;
    if (fetch_new(&(FetchOptions){ 0 }, &s->fetch) != OK) {
        *why = S("libcurl cannot start");
        return ERR_IO;
    }
    s->objects = folder_new(str_format(&s->arena, "%s/s3", o->data), s->env.account);
    AwsClientOptions options = { .fetch = s->fetch,
                                 .region = s->env.region,
                                 .endpoints = str_c(o->aws_endpoint),
                                 .profile = o->aws_profile,
                                 .account = o->aws_for_all_accounts ? STR_NONE : s->env.account };
    return aws_client_new(&options, &s->arena, &s->aws, why);
}

void outward_stop(Server *s) {
    if (s->fetch) fetch_stop(s->fetch);
}

void outward_close(Server *s) {
    fetch_free(s->fetch);
    aws_client_free(s->aws);
    folder_free(s->objects);
}
