//! Where a tenant's events lie in the sequence.
//!
//! An index by tenant would make every group of acknowledgements write a page for each of its tenants. `events_piece`
//! begins with the piece of the sequence instead (512 events), so that it grows at its end; reading a tenant's events
//! looks into one piece after the other, and into more at once the longer it finds nothing.

use fangshi_database::TenantId;

use crate::{Journal, JournalError};

/// Events of a piece, as a power of two: the index in `0023_pieces.sql` is made of it.
const PIECE_BITS: u32 = 9;
/// Pieces looked into at once, at most.
const MOST_PIECES: i64 = 4096;

const NEWEST: &str = "WITH RECURSIVE piece (n) AS (SELECT $2 UNION ALL SELECT n + 1 FROM piece WHERE n < $3) \
     SELECT e.seq FROM piece CROSS JOIN events e INDEXED BY events_piece \
     WHERE (e.seq >> 9) = piece.n AND e.tenant_id = $1 AND e.seq > $4 AND e.seq < $5 ORDER BY e.seq DESC LIMIT $6";
const OLDEST: &str = "WITH RECURSIVE piece (n) AS (SELECT $2 UNION ALL SELECT n + 1 FROM piece WHERE n < $3) \
     SELECT e.seq FROM piece CROSS JOIN events e INDEXED BY events_piece \
     WHERE (e.seq >> 9) = piece.n AND e.tenant_id = $1 AND e.seq > $4 AND e.seq < $5 ORDER BY e.seq LIMIT $6";

/// Which end of the sequence comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    Newest,
    Oldest,
}

impl Journal {
    /// The first `limit` of a tenant's events after one place and before another, both left out.
    pub(crate) async fn places(
        &self,
        tenant: TenantId,
        first: First,
        (after, before): (i64, i64),
        limit: i64,
    ) -> Result<Vec<i64>, JournalError> {
        let (least, most): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT coalesce(min(seq), 0) FROM events), (SELECT coalesce(max(seq), 0) FROM events)",
        )
        .fetch_one(self.reader())
        .await?;
        let (mut low, mut high) = (after.max(least - 1).max(0) >> PIECE_BITS, before.min(most) >> PIECE_BITS);
        let (mut found, mut pieces) = (Vec::new(), 1);
        while low <= high && (found.len() as i64) < limit {
            let (text, from, to) = match first {
                First::Newest => (NEWEST, (high - pieces + 1).max(low), high),
                First::Oldest => (OLDEST, low, (low + pieces - 1).min(high)),
            };
            let some: Vec<i64> = sqlx::query_scalar(text)
                .bind(tenant.0)
                .bind(from)
                .bind(to)
                .bind(after)
                .bind(before)
                .bind(limit - found.len() as i64)
                .fetch_all(self.reader())
                .await?;
            found.extend(some);
            match first {
                First::Newest => high = from - 1,
                First::Oldest => low = to + 1,
            }
            pieces = (pieces * 2).min(MOST_PIECES);
        }
        Ok(found)
    }
}
