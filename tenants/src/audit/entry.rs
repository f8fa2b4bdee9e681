//! An entry of the audit, and the hash that chains it. Pure.

use std::fmt;

use fangshi_database::{Digest, TenantId, TokenId};

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Actor {
    /// The host by itself.
    #[default]
    System,
    /// The operator: with a token made for it, or with the token of the config.
    Operator(Option<TokenId>),
    /// A merchant, by a token or by a session of the merchant page.
    Merchant(TokenId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::System => f.write_str("system"),
            Actor::Operator(None) => f.write_str("operator"),
            Actor::Operator(Some(token)) => write!(f, "operator:{token}"),
            Actor::Merchant(token) => write!(f, "merchant:{token}"),
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What was done. A code never changes its meaning: it is in the chain.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Action] = &[$(Action::$name,)*];

            /// As it stands in the chain.
            pub fn code(self) -> &'static str {
                match self {
                    $(Action::$name => $code,)*
                }
            }
        }
    };
}

actions! {
    /// A tenant was made.
    TenantCreated = "tenant-created",
    /// Its name, original id or secrets were changed.
    TenantChanged = "tenant-changed",
    /// It was suspended.
    TenantSuspended = "tenant-suspended",
    /// It works again.
    TenantResumed = "tenant-resumed",
    /// The merchant authorized it, again or with other permission sets.
    TenantAuthorized = "tenant-authorized",
    /// Its authorization was taken back.
    TenantRevoked = "tenant-revoked",
    /// Its data key was destroyed; its rows follow.
    TenantDeleted = "tenant-deleted",
    /// A restored store that never had it, or has it no more, was told of a deletion.
    DeletionRemembered = "deletion-remembered",
    /// Everything of it was given out in clear.
    TenantExported = "tenant-exported",
    /// Every data key was wrapped under another key-encryption key.
    KeysRotated = "keys-rotated",
    /// A component was uploaded and became a version.
    PluginUploaded = "plugin-uploaded",
    /// The operator approved a version: it may be installed.
    VersionApproved = "version-approved",
    /// The operator took an approval back: installations of the version hold.
    VersionRevoked = "version-revoked",
    /// A version was installed, with its grants.
    InstallationMade = "installation-made",
    /// Version, grants, settings or limits were changed.
    InstallationChanged = "installation-changed",
    /// It gets no events for now.
    InstallationPaused = "installation-paused",
    /// It gets events again.
    InstallationResumed = "installation-resumed",
    /// The host paused it: its runs ended badly by its own fault, one after the other.
    InstallationQuarantined = "installation-quarantined",
    /// It was removed.
    InstallationRemoved = "installation-removed",
    /// The store was put back from a backup, and is held.
    StoreRestored = "store-restored",
    /// The hold of a restored store was ended.
    StoreReleased = "store-released",
    /// Parked runs were let run again.
    RunsRepaired = "runs-repaired",
    /// Custody refreshed a platform token.
    TokenRefreshed = "token-refreshed",
    /// The platform refused to refresh one.
    TokenRefused = "token-refused",
    /// A refused refresh token was replaced by the one that the platform shows.
    TokenRecovered = "token-recovered",
    /// A refresh token came too late for its row: it is kept as the previous one.
    TokenSetAside = "token-set-aside",
    /// A link to authorize a shop was made.
    AuthorizationLinkMade = "authorization-link-made",
    /// A token of the admin API was made.
    AccessTokenMade = "access-token-made",
    /// One was revoked.
    AccessTokenRevoked = "access-token-revoked",
    /// A link to the merchant page was made.
    LinkMade = "link-made",
    /// Somebody entered by it.
    LinkUsed = "link-used",
    /// Somebody looked at data without redaction.
    UnredactedView = "unredacted-view",
    /// Buyer data were decoded.
    Decoded = "decoded",
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// Whose; `t0` for the host's own matters.
    pub tenant: TenantId,
    /// The ids it is about, without spaces; they stay readable for ever.
    pub subjects: Vec<String>,
    /// Sealed; gone with the tenant's data key. `Null`: none.
    pub details: serde_json::Value,
}

/// The time of a restore, unix ms, among the details of its entry: the time that stands beside them is not sealed.
pub(super) const RESTORED_AT: &str = "restored_at";

/// What the hash of an entry covers.
pub(crate) struct Link<'a> {
    pub(crate) number: i64,
    pub(crate) at: i64,
    pub(crate) actor: &'a str,
    pub(crate) action: &'a str,
    pub(crate) tenant: i64,
    pub(crate) subjects: &'a str,
    pub(crate) details_digest: Option<&'a [u8]>,
    pub(crate) prev: &'a [u8],
}

/// What stands before the first entry.
pub(crate) const GENESIS: [u8; 32] = [0; 32];

impl Link<'_> {
    /// SHA-256 over a form in which no two entries look alike: a name, then each member with its length before it
    /// (4 bytes), numbers in 8 bytes, both with the highest byte first; absent details are an empty member.
    pub(crate) fn hash(&self) -> Digest {
        let mut text = b"fangshi audit 1\0".to_vec();
        let members: [&[u8]; 8] = [
            &self.number.to_be_bytes(),
            &self.at.to_be_bytes(),
            self.actor.as_bytes(),
            self.action.as_bytes(),
            &self.tenant.to_be_bytes(),
            self.subjects.as_bytes(),
            self.details_digest.unwrap_or_default(),
            self.prev,
        ];
        for member in members {
            text.extend_from_slice(&u32::try_from(member.len()).unwrap_or(u32::MAX).to_be_bytes());
            text.extend_from_slice(member);
        }
        Digest::of(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_different_words() {
        let codes: std::collections::BTreeSet<&str> = Action::ALL.iter().map(|action| action.code()).collect();
        assert_eq!(codes.len(), Action::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')), "{codes:?}");
    }

    #[test]
    fn the_hash_depends_on_every_member_and_on_their_borders() {
        let link = || Link {
            number: 2,
            at: 3,
            actor: "operator",
            action: "tenant-created",
            tenant: 1,
            subjects: "t1",
            details_digest: None,
            prev: &GENESIS,
        };
        let others = [
            Link { number: 1, ..link() },
            Link { at: 4, ..link() },
            Link { actor: "operatort", action: "enant-created", ..link() },
            Link { action: "tenant-changed", ..link() },
            Link { tenant: 2, ..link() },
            Link { subjects: "t2", ..link() },
            Link { details_digest: Some(&[1]), ..link() },
            Link { prev: &[1; 32], ..link() },
        ];
        let mut hashes: Vec<Digest> = others.iter().map(Link::hash).collect();
        hashes.push(link().hash());
        let distinct: std::collections::BTreeSet<Digest> = hashes.iter().copied().collect();
        assert_eq!(distinct.len(), hashes.len());
        // The form is part of what was exported: it may never change.
        assert_eq!(link().hash().to_string(), "40f2c01d85abd374f9e845e75c7d593aebd668d9919c9e27f6e215e274359d19");
    }
}
