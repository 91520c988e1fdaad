"""Certificates made by hand, for CAs and devices of one's own."""
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


def cert_pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM).decode()


def csr_pem(common_name, key):
    builder = x509.CertificateSigningRequestBuilder().subject_name(named(common_name))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def named(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def certificate(common_name, key, issuer=None, issuer_key=None, ca=False, from_days=-1, to_days=365, names=()):
    """A certificate for key; without an issuer it is signed by itself."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder()
               .subject_name(named(common_name))
               .issuer_name(issuer.subject if issuer else named(common_name))
               .public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(now + datetime.timedelta(days=from_days))
               .not_valid_after(now + datetime.timedelta(days=to_days))
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if ca:
        builder = builder.add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False),
                                        critical=True)
    return builder.sign(issuer_key or key, hashes.SHA256())


def fingerprint(cert):
    """AWS's certificateId: lower-case hex of the SHA-256 of the DER. Source: 'X.509 client certificates'."""
    return cert.fingerprint(hashes.SHA256()).hex()
