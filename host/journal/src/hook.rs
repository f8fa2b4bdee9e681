//! From the platform's Event to the hook of the contract, and from the host's own.

/// The eight order events (platform page, section 3.2).
pub(crate) const HOOKS: [(&str, &str); 8] = [
    ("channels_ec_order_new", "on-new"),
    ("channels_ec_order_cancel", "on-cancel"),
    ("channels_ec_order_pay", "on-pay"),
    ("channels_ec_order_wait_shipping", "on-wait-shipping"),
    ("channels_ec_order_deliver", "on-deliver"),
    ("channels_ec_order_confirm", "on-confirm"),
    ("channels_ec_order_settle", "on-settle"),
    ("channels_ec_order_ext_info_update", "on-ext-info-update"),
];

/// The Event of a tick: no platform's.
pub(crate) const TICK: &str = "fangshi_schedule";

/// The hook that an event calls; none for events that the contract does not know.
pub fn hook_of(event: &str) -> Option<&'static str> {
    if event == TICK {
        return Some("on-schedule");
    }
    HOOKS.iter().find(|(name, _)| *name == event).map(|(_, hook)| *hook)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_order_events_have_hooks_and_others_none() {
        assert_eq!(hook_of("channels_ec_order_pay"), Some("on-pay"));
        assert_eq!(hook_of("product_order_status_update"), None);
        assert_eq!(hook_of("fangshi_schedule"), Some("on-schedule"));
        assert_eq!(HOOKS.len(), 8);
    }
}
