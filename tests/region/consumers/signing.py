"""Signed images: a certificate, one that signed it, and where Nova and Cinder look for them.

The cloud's key manager is the one part that is not real here: this is one in memory.
"""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from castellan.common.objects import x_509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

SIGNER: Final = "11111111-1111-4111-8111-111111111111"
AUTHORITY: Final = "22222222-2222-4222-8222-222222222222"
STRANGER: Final = "33333333-3333-4333-8333-333333333333"

_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signature_of(data: bytes) -> dict[str, str]:
    """Give the properties of an image that say who signed its data."""
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    return {
        "img_signature": base64.b64encode(_KEY.sign(data, scheme, hashes.SHA256())).decode(),
        "img_signature_hash_method": "SHA-256",
        "img_signature_key_type": "RSA-PSS",
        "img_signature_certificate_uuid": SIGNER,
    }


class Keys:
    """Has certificates; what castellan takes for a key manager."""

    def __init__(self, configuration: object) -> None:
        """Take no heed of the settings."""

    def get(self, context: object, managed_object_id: str, **_: object) -> Any:
        """Give a certificate."""
        del context
        return x_509.X509(_CERTIFICATES[managed_object_id].public_bytes(Encoding.DER))


def _certificate(
    name: str, key: rsa.RSAPrivateKey, issuer: str, signing: rsa.RSAPrivateKey
) -> x509.Certificate:
    now = datetime.now(UTC)
    is_ca = name == issuer
    usage = {
        **dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment"), False),
        **dict.fromkeys(("key_agreement", "encipher_only", "decipher_only"), False),
    }
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=is_ca, crl_sign=is_ca, **usage),
            critical=True,
        )
        .sign(signing, hashes.SHA256())
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


_CA_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_OTHER_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_CERTIFICATES: Final = {
    SIGNER: _certificate("signer", _KEY, "authority", _CA_KEY),
    AUTHORITY: _certificate("authority", _CA_KEY, "authority", _CA_KEY),
    STRANGER: _certificate("stranger", _OTHER_KEY, "stranger", _OTHER_KEY),
}
