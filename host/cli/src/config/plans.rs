//! `[limits]` for everybody, and `[plans.NAME]`.

use fangshi_lanes::{COMPONENT_BYTES, Plans, RUNS_AT_ONCE};

use super::keys;
use super::reader::Reader;

/// `runs_per_tenant` and `max_plugin_bytes` are the names of everybody's runs at once and component bytes.
pub(super) fn read(reader: &mut Reader<'_>) -> Plans {
    let mut everybody = reader.figures();
    let known = [(RUNS_AT_ONCE, &keys::RUNS_PER_TENANT), (COMPONENT_BYTES, &keys::MAX_PLUGIN_BYTES)];
    for (name, key) in known {
        if let Some(number) = reader.number(key) {
            everybody.insert(name.to_owned(), number);
        }
    }
    Plans { everybody, named: reader.plans() }
}
