/* The options of `holdfast serve` against the world. */
#define _GNU_SOURCE /* strerrordesc_np */
#include "serve_check.h"
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static enum err_code check_file(const char *option, const char *path, struct err *err)
{
    char first;
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && read(fd, &first, 1) >= 0)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "%s %s cannot be read: %s", option, path, strerrordesc_np(errno));
}

static enum err_code check_tls(const struct serve_options *opt, struct err *err)
{
    if (!opt->tls_cert && !opt->tls_key)
        return ERR_OK;
    if (!opt->tls_cert)
        return err_set(err, ERR_INVALID, "--tls-key needs --tls-cert FILE, the certificate chain");
    enum err_code code = check_file("--tls-cert", opt->tls_cert, err);
    if (!code && !opt->tls_key)
        return err_set(err, ERR_INVALID, "--tls-cert needs --tls-key FILE, the certificate's private key");
    return code ? code : check_file("--tls-key", opt->tls_key, err);
}

static enum err_code check_url(const struct serve_options *opt, struct err *err)
{
    struct str url = str_of(opt->public_url ? opt->public_url : "http://x"), rest = STR_EMPTY;

    if (str_starts(url, S("https://")))
        rest = str_slice(url, 8, url.len);
    else if (str_starts(url, S("http://")))
        rest = str_slice(url, 7, url.len);
    bool plain = rest.len > 0 && rest.ptr[0] != '/';
    for (size_t i = 0; i < url.len; i++)
        plain = plain && url.ptr[i] > ' ' && url.ptr[i] < 0x7f && !strchr("\"<>?#\\", url.ptr[i]);
    return plain ? ERR_OK
                 : err_set(err, ERR_INVALID, "--public-url must be like https://db.example.com, not \"%s\"",
                       opt->public_url);
}

enum err_code serve_check(const struct serve_options *opt, struct err *err)
{
    enum err_code code = check_tls(opt, err);

    if (!code && opt->ca_file)
        code = check_file("--ca-file", opt->ca_file, err);
    return code ? code : check_url(opt, err);
}

enum err_code serve_explain(const struct serve_options *opt, enum err_code code, struct err *err)
{
    struct err cause = *err;
    struct str said = str_of(cause.message);

    if (str_starts(said, S("the TLS certificate")))
        return err_set(err, code, "--tls-cert %s holds no certificate chain in PEM form (%s)", opt->tls_cert,
            cause.message);
    if (str_starts(said, S("the TLS key")))
        return err_set(err, code, "--tls-key %s is not the private key of %s in PEM form (%s)", opt->tls_key,
            opt->tls_cert, cause.message);
    if (str_starts(said, S("trusted proxies: ")))
        return err_set(err, code, "--trusted-proxies: %s", cause.message + strlen("trusted proxies: "));
    if (str_starts(said, S("CORS origins: ")))
        return err_set(err, code, "--cors-origins: %s", cause.message + strlen("CORS origins: "));
    static const struct str DOING = {"listening on the given address: ", 32};
    const char *text = cause.message + (str_starts(said, DOING) ? DOING.len : 0);
    return err_set(err, code, "--listen %s:%u: %s", opt->listen.host, (unsigned)opt->listen.port, text);
}
