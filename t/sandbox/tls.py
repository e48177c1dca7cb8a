"""Certificates for the sandbox, made by the openssl program: a CA, a good certificate, and three bad ones."""

import fcntl
import os
import ssl
import subprocess

KINDS = ("good", "expired", "wrong-host", "unknown-ca")
# `openssl ca` and not `openssl x509`: of the two only the former can set a date in the past before 3.4.
_CONFIG = """[ca]
default_ca=own
[own]
dir={base}
database={base}/index.txt
new_certs_dir={base}
rand_serial=yes
unique_subject=no
default_md=sha256
policy=any
[any]
commonName=supplied
[server]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName={names}
"""
_CA_EXTENSIONS = ["-addext", "basicConstraints=critical,CA:TRUE",
                  "-addext", "keyUsage=critical,keyCertSign,cRLSign"]


class Certificates:
    """What is in a directory of certificates; each is made when it is first asked for."""

    def __init__(self, directory):
        self.directory = os.path.abspath(directory)
        os.makedirs(self.directory, exist_ok=True)
        with self._alone():
            self.ca_file = self._authority("ca", "bcpaid sandbox CA")

    def context(self, kind):
        """A server's TLS context that shows the certificate of that kind."""
        if kind not in KINDS:
            raise ValueError(f"cert is one of {', '.join(KINDS)}, not {kind!r}")
        with self._alone():
            certificate = self._certificate(kind)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.load_cert_chain(certificate, self._path(kind + ".key"))
        # We speak HTTP/1.1 only; without this a client may hope for HTTP/2.
        made.set_alpn_protocols(["http/1.1"])
        return made

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _alone(self):
        """Several servers may share the directory: one makes a certificate, the others find it."""
        lock = open(self._path("lock"), "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock

    def _authority(self, name, subject):
        made = self._path(name + ".pem")
        if not os.path.exists(made):
            _openssl("req", "-x509", *_new_key(self._path(name + ".key")), "-days", "3650",
                     "-subj", "/CN=" + subject, *_CA_EXTENSIONS, "-out", made + ".new")
            os.replace(made + ".new", made)
        return made

    def _certificate(self, kind):
        made = self._path(kind + ".pem")
        if os.path.exists(made):
            return made
        if kind == "unknown-ca":
            self._authority("other-ca", "somebody else's CA")
        authority = "other-ca" if kind == "unknown-ca" else "ca"
        names = "DNS:other.example" if kind == "wrong-host" else "DNS:localhost,IP:127.0.0.1"
        config = self._path("openssl.cnf")
        with open(config, "w") as file:
            file.write(_CONFIG.format(base=self.directory, names=names))
        open(self._path("index.txt"), "a").close()
        request = self._path(kind + ".csr")
        _openssl("req", "-new", *_new_key(self._path(kind + ".key")), "-subj", "/CN=bcpaid sandbox",
                 "-out", request)
        dates = (["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"] if kind == "expired"
                 else ["-days", "3650"])
        _openssl("ca", "-batch", "-notext", "-config", config, "-extensions", "server", *dates, "-in", request,
                 "-cert", self._path(authority + ".pem"), "-keyfile", self._path(authority + ".key"),
                 "-out", made + ".new")
        os.replace(made + ".new", made)
        return made


def _new_key(path):
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]


def _openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
