//! Names for the platform's codes. They grow, so they cross as integers and every enum here may get new cases: match with
//! a last arm, and keep what you don't know.
use crate::{
    Cancel, Confirm, Deliver, Event, ExtInfo,
    order_delivery::{DeliveryInfo, Parcel},
    order_present::OrderPresentInfo,
    order_summary::State,
    real_number::AuditInfo,
};

/// An enum over a code, with a case for the values of tomorrow.
macro_rules! codes {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $case:ident = $code:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $case,)*
            /// A value that this version of the crate has no name for.
            Unknown(u32),
        }

        impl $name {
            /// The platform's number.
            pub const fn code(self) -> u32 {
                match self {
                    $(Self::$case => $code,)*
                    Self::Unknown(code) => code,
                }
            }
        }

        impl From<u32> for $name {
            fn from(code: u32) -> Self {
                match code {
                    $($code => Self::$case,)*
                    other => Self::Unknown(other),
                }
            }
        }

        impl From<$name> for u32 {
            fn from(name: $name) -> u32 {
                name.code()
            }
        }
    };
}

codes! {
    /// Where an event came from.
    Source {
        /// Pushed by the platform.
        Callback = 0,
        /// Found missing by the host and made up for.
        Reconciled = 1,
        /// Found by asking in turns.
        Poll = 2,
        /// By the clock.
        Schedule = 3,
        /// By a person.
        Manual = 4,
    }
}

codes! {
    /// Where an order stands.
    Status {
        /// Placed, not paid.
        Unpaid = 10,
        /// A gift that the recipient has not accepted yet.
        GiftToBeAccepted = 12,
        /// Paid, the group is not complete yet.
        WaitingForGroup = 13,
        /// Ready to be shipped.
        ToBeShipped = 20,
        /// Some parcels are on their way.
        PartlyShipped = 21,
        /// All parcels are on their way.
        Shipped = 30,
        /// Received.
        Finished = 100,
        /// Cancelled because too much was sold.
        Oversold = 190,
        /// All refunded, or the gift was not accepted.
        Refunded = 200,
        /// Cancelled before payment.
        Cancelled = 250,
    }
}

codes! {
    /// What an `on-ext-info-update` is about.
    ExtInfoKind {
        /// A promoter's commission.
        Commission = 1,
        /// The address has changed.
        AddressChanged = 2,
        /// The merchant's note has changed.
        MerchantNotes = 3,
        /// The buyer asks for another address: decide within 12 hours (`address-decision`).
        AddressRequested = 4,
        /// A virtual number was given out or has changed.
        VirtualNumber = 5,
        /// Who shared it.
        Sharer = 6,
        /// The buyer urges shipping.
        ShippingUrged = 7,
        /// The note on the gift.
        GiftNote = 8,
        /// The buyer asks for another SKU (`sku-decision`).
        SkuRequested = 9,
        /// A SKU change was approved.
        SkuApproved = 10,
        /// The recipient chose another SKU on accepting a gift.
        SkuChangedOnGift = 11,
        /// The price was changed.
        Price = 12,
        /// A request for the real number was decided.
        RealNumberDecided = 13,
        /// Given to a supplier.
        DropshipAssigned = 14,
        /// Taken back from a supplier.
        DropshipCancelled = 15,
        /// The buyer agreed to the merchant's new address.
        AddressAgreed = 16,
        /// The buyer refused it.
        AddressRefused = 17,
        /// The buyer did not answer in time.
        AddressUnanswered = 18,
        /// The buyer changed the address himself.
        AddressChangedByBuyer = 19,
        /// Too late: already shipped.
        AddressTooLate = 20,
        /// A negotiation about shipping: agreed.
        ShippingAgreed = 21,
        /// A negotiation about shipping: refused.
        ShippingRefused = 22,
        /// A negotiation about shipping: no answer in time.
        ShippingUnanswered = 23,
    }
}

codes! {
    /// Why an order was cancelled.
    CancelKind {
        /// By the buyer.
        ByBuyer = 1,
        /// Not paid in time.
        Timeout = 2,
        /// Every item was refunded.
        AllRefunded = 3,
        /// Too much was sold.
        Oversold = 4,
    }
}

codes! {
    /// How an order was received.
    ConfirmKind {
        /// The buyer said so.
        ByBuyer = 1,
        /// The time had run out.
        Timeout = 2,
    }
}

codes! {
    /// Where an order was placed.
    Scene {
        /// Elsewhere.
        Other = 1,
        /// In a live stream.
        Live = 2,
        /// At a video.
        Video = 3,
        /// From a share.
        Share = 4,
        /// In a shop window.
        ShopWindow = 5,
        /// From a card of an official account.
        AccountCard = 6,
    }
}

codes! {
    /// How a parcel goes.
    DeliverKind {
        /// With a courier of one's own choice.
        OwnCourier = 1,
        /// Signed online.
        SignedOnline = 2,
        /// Virtual goods: nothing travels.
        Virtual = 3,
        /// A single order placed online.
        SingleOnline = 4,
    }
}

codes! {
    /// Which inspection an order needs before shipping.
    Inspection {
        /// None.
        None = 0,
        /// Jewellery.
        Jewellery = 1,
        /// Fresh goods.
        FreshGoods = 2,
    }
}

codes! {
    /// Where a gift was sent.
    PresentChannel {
        /// To one person.
        Chat = 0,
        /// To a group.
        Group = 1,
        /// Through an official account.
        OfficialAccount = 2,
        /// Through Channels.
        Channels = 3,
        /// To one person in an enterprise's chat.
        EnterpriseChat = 4,
        /// To a group in an enterprise's chat.
        EnterpriseGroup = 5,
        /// Through a mini program.
        MiniProgram = 7,
        /// A lottery among reviews.
        Lottery = 8,
        /// Through a shop window.
        ShopWindow = 9,
        /// A greeting gift.
        Greeting = 10,
    }
}

codes! {
    /// Where a request for the real number stands.
    AuditState {
        /// Not decided.
        Pending = 1,
        /// Refused.
        Refused = 2,
        /// The order shows the real number now.
        Approved = 3,
    }
}

codes! {
    /// Why the real number is asked for.
    RealNumberReason {
        /// It can't be shipped otherwise.
        CannotShip = 1,
        /// An after-sale case can't be handled.
        AfterSale = 2,
        /// A complaint can't be handled.
        Complaint = 3,
        /// A parcel can't be handled.
        Parcel = 4,
        /// Anything else.
        Other = 5,
    }
}

impl Event {
    /// Where it came from, by name.
    pub fn origin(&self) -> Source {
        self.source().into()
    }
}

impl State {
    /// Where the order stands, by name.
    pub fn named(&self) -> Status {
        self.status.into()
    }

    /// Where it was placed, by name; none if the platform didn't tell.
    pub fn scene(&self) -> Option<Scene> {
        (self.order_scene != 0).then(|| self.order_scene.into())
    }
}

impl ExtInfo {
    /// What changed, by name.
    pub fn kind(&self) -> ExtInfoKind {
        self.type_.into()
    }
}

impl Cancel {
    /// Why, by name.
    pub fn kind(&self) -> CancelKind {
        self.cancel_type.into()
    }
}

impl Confirm {
    /// How, by name.
    pub fn kind(&self) -> ConfirmKind {
        self.confirm_type.into()
    }
}

impl Deliver {
    /// Whether this parcel was the last one.
    pub fn is_complete(&self) -> bool {
        self.finish_delivery == 1
    }
}

impl Parcel {
    /// How it goes, by name.
    pub fn kind(&self) -> DeliverKind {
        self.deliver_type.into()
    }
}

impl DeliveryInfo {
    /// Which inspection it needs.
    pub fn inspection(&self) -> Inspection {
        self.quality_inspect_type.into()
    }
}

impl OrderPresentInfo {
    /// Where it was sent.
    pub fn channel(&self) -> PresentChannel {
        self.present_send_type.into()
    }
}

impl AuditInfo {
    /// Where it stands.
    pub fn state(&self) -> AuditState {
        self.audit_state.into()
    }
}

#[cfg(test)]
mod tests {
    use super::{ExtInfoKind, Status};

    #[test]
    fn every_code_comes_back_as_itself_known_or_not() {
        for code in 0..=300 {
            assert_eq!(Status::from(code).code(), code);
            assert_eq!(ExtInfoKind::from(code).code(), code);
        }
        assert_eq!(Status::from(20), Status::ToBeShipped);
        assert_eq!(Status::from(31), Status::Unknown(31));
        assert_eq!((1..=23).filter(|code| matches!(ExtInfoKind::from(*code), ExtInfoKind::Unknown(_))).count(), 0);
        assert_eq!(ExtInfoKind::from(24), ExtInfoKind::Unknown(24));
    }
}
