//! Signatures as Standard Webhooks 1.0 has them (standard-webhooks/standard-webhooks, spec/standard-webhooks.md, "Signature scheme"):
//! `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, one for each secret, with spaces between.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How a secret begins that is written down.
const PREFIX: &str = "whsec_";

/// How long a secret is in bytes: what the specification asks for.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secrets of one webhook, as they sign. Without `Debug`: they are secrets.
pub struct Keys(Vec<Vec<u8>>);

impl Keys {
    /// Reads secrets as they are written down. The error doesn't show them.
    pub fn read(secrets: &[String]) -> Result<Keys, String> {
        let advice = "make one with: echo \"whsec_$(openssl rand -base64 32)\"";
        let key = |secret: &String| {
            let encoded = secret.trim().strip_prefix(PREFIX).ok_or(format!("must begin with {PREFIX}; {advice}"))?;
            let key = STANDARD.decode(encoded).map_err(|_| format!("is no base64 behind {PREFIX}; {advice}"))?;
            if KEY_BYTES.contains(&key.len()) {
                return Ok(key);
            }
            Err(format!("has {} bytes, not {} to {}; {advice}", key.len(), KEY_BYTES.start(), KEY_BYTES.end()))
        };
        secrets.iter().map(key).collect::<Result<_, String>>().map(Keys)
    }

    /// What `webhook-signature` says; `None` without a secret.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let signatures = self.0.iter().map(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        Some(signatures.collect::<Vec<_>>().join(" ")).filter(|signatures| !signatures.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_signature_is_the_one_that_the_librarys_own_test_expects() {
        // standard-webhooks, libraries/python/tests/test_webhooks.py, `test_sign_function`.
        let keys = Keys::read(&[SECRET.to_owned()]).unwrap();
        let signed = keys.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn each_secret_of_a_rotation_signs_and_a_bad_one_is_told_without_showing_it() {
        let other = format!("whsec_{}", STANDARD.encode([7; 32]));
        let signed = Keys::read(&[other, SECRET.to_owned()]).unwrap().sign("a", 1, b"{}").unwrap();
        assert_eq!(signed.split(' ').filter(|one| one.starts_with("v1,")).count(), 2);
        assert_eq!(Keys::read(&[]).unwrap().sign("a", 1, b"{}"), None);
        for (bad, says) in
            [("hunter22", "must begin with whsec_"), ("whsec_hunter?", "no base64"), ("whsec_aHVudGVy", "has 6 bytes")]
        {
            let error = Keys::read(&[bad.to_owned()]).err().unwrap();
            assert!(error.contains(says) && !error.contains("hunter") && error.contains("openssl rand"), "{error}");
        }
    }
}
