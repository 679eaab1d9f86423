//! Who sent a webhook: `X-Hub-Signature-256`.

use hmac::Hmac;
use hmac::Mac;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use sha2::Sha256;

/// Whether `header` is the signature of `body` under one of `secrets`.
///
/// Takes several secrets, so that a secret can be changed without losing a delivery. The comparison takes the same
/// time wherever the first difference is. No header, no secret or an empty secret: `false`.
///
/// Source: GitHub, "Validating webhook deliveries": `sha256=` and the HMAC-SHA-256 of the raw body in hexadecimal.
pub fn verify(secrets: &[SecretString], body: &[u8], header: Option<&str>) -> bool {
    let Some(digest) = header.and_then(|text| text.strip_prefix("sha256=")) else {
        return false;
    };
    let Ok(digest) = hex::decode(digest) else {
        return false;
    };
    // No early exit: which of the secrets fits is nobody's business either.
    secrets.iter().fold(false, |fits, secret| {
        let usable = !secret.expose_secret().is_empty();
        fits | (mac(secret, body).verify_slice(&digest).is_ok() && usable)
    })
}

/// The value of `X-Hub-Signature-256` for `body`, as GitHub would send it.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    format!(
        "sha256={}",
        hex::encode(mac(secret, body).finalize().into_bytes())
    )
}

fn mac(secret: &SecretString, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn github() -> SecretString {
        SecretString::from("It's a Secret to Everybody")
    }

    #[test]
    fn the_example_of_githubs_manual_is_genuine() {
        assert!(verify(&[github()], b"Hello, World!", Some(HELLO)));
        assert_eq!(sign(&github(), b"Hello, World!"), HELLO);
    }

    #[test]
    fn a_changed_body_a_missing_header_and_another_form_are_forged() {
        assert!(!verify(&[github()], b"Hello, World?", Some(HELLO)));
        assert!(!verify(&[github()], b"Hello, World!", None));
        assert!(!verify(&[github()], b"Hello, World!", Some(&HELLO[7..])));
        assert!(!verify(&[github()], b"Hello, World!", Some(&HELLO[..20])));
        assert!(!verify(&[github()], b"Hello, World!", Some("sha256=zz")));
    }

    #[test]
    fn during_a_rotation_both_secrets_are_good() {
        let secrets = [SecretString::from("new"), github()];
        assert!(verify(&secrets, b"Hello, World!", Some(HELLO)));
        assert!(verify(
            &secrets,
            b"x",
            Some(&sign(&SecretString::from("new"), b"x"))
        ));
        assert!(!verify(
            &secrets,
            b"x",
            Some(&sign(&SecretString::from("old"), b"x"))
        ));
    }

    #[test]
    fn without_a_secret_nothing_is_genuine() {
        let empty = SecretString::from("");
        assert!(!verify(&[], b"x", Some(&sign(&empty, b"x"))));
        assert!(!verify(
            std::slice::from_ref(&empty),
            b"x",
            Some(&sign(&empty, b"x"))
        ));
    }
}
