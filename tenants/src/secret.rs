//! Secrets that the host gives out: 256 random bits behind a mark, `fsk_…` for tokens and `fsl_…` for links to the merchant
//! page; addresses of authorization links have none.
//!
//! A plain SHA-256 is kept of them. A slow password hash (argon2) makes guessing dear where people choose the secret;
//! nobody guesses 256 random bits, and a slow hash at every request would only let strangers spend our time.

use fangshi_database::Digest;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::CustodyError;

/// Marks a token, so that searches for leaked secrets can find one.
pub(crate) const TOKEN: &str = "fsk_";
/// Marks the secret of a link.
pub(crate) const LINK: &str = "fsl_";

/// No mark: the address says what it is.
pub(crate) const NONCE: &str = "";

/// A new secret.
pub(crate) fn make(mark: &str) -> Result<SecretString, CustodyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| CustodyError::Seal(error.to_string()))?;
    let hex = Zeroizing::new(hex::encode(bytes.as_slice()));
    Ok(SecretString::from(format!("{mark}{}", hex.as_str())))
}

/// What is kept of one.
pub(crate) fn digest(secret: &SecretString) -> Digest {
    Digest::of(secret.expose_secret().as_bytes())
}

/// The digest of a text that has the form of such a secret; `None` for every other text.
pub(crate) fn recognise(mark: &str, text: &str) -> Option<Digest> {
    let hex = text.strip_prefix(mark)?;
    let formed = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    formed.then(|| Digest::of(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_recognised_by_its_mark_alone() {
        let secret = make(TOKEN).unwrap();
        assert_eq!(recognise(TOKEN, secret.expose_secret()), Some(digest(&secret)));
        assert_ne!(secret.expose_secret(), make(TOKEN).unwrap().expose_secret());
        assert_eq!(recognise(LINK, secret.expose_secret()), None);
        let short = &secret.expose_secret()[..67];
        let long = format!("{}0", secret.expose_secret());
        let upper = secret.expose_secret().replace("fsk_", "FSK_");
        for text in ["", "fsk_", short, &long, &upper, &format!("{short}g"), &format!("{short}A")] {
            assert_eq!(recognise(TOKEN, text), None, "{text}");
        }
    }
}
