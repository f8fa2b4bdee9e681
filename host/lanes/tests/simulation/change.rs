//! What happens to orders on the platform, and the events that tell of it.

use fangshi_journal::{LaneKey, Source, hook_of};

/// What an event tells of, as far as its members show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    pub event: &'static str,
    pub ext_type: Option<i64>,
}

impl Kind {
    pub const PAID: Kind = Kind { event: "channels_ec_order_pay", ext_type: None };
    pub const NOTED: Kind = Kind::ext(3);

    pub const fn ext(ext_type: i64) -> Kind {
        Kind { event: "channels_ec_order_ext_info_update", ext_type: Some(ext_type) }
    }

    pub fn hook(self) -> &'static str {
        hook_of(self.event).expect("an order event")
    }
}

/// A change of an order.
#[derive(Debug, Clone)]
pub struct Change {
    pub lane: LaneKey,
    pub kind: Kind,
    /// Unix seconds of the platform; no two changes of an order have the same.
    pub at: i64,
    /// An effect of ours made it.
    pub ours: bool,
}

/// An event as it reaches the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The change, by its number; of several that one reading showed, the last.
    pub change: usize,
    pub kind: Kind,
    pub source: Source,
    /// CreateTime.
    pub created_at: i64,
}

impl Told {
    pub fn dedup(&self) -> [u8; 32] {
        let mut dedup = [0; 32];
        dedup[..8].copy_from_slice(&(self.change as u64).to_be_bytes());
        dedup[8] = self.source.code() as u8;
        dedup
    }
}
