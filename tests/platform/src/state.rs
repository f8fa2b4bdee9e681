//! Everything that the fake knows, under one lock. Nothing here waits or speaks to anybody.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::dice::Dice;
use crate::faults::FaultPlan;
use crate::ledger::Call;
use crate::message::{Body, EventMessage, OrderEvent, PushForm, Spelling};
use crate::orders::order::Order;
use crate::outbox::{Destination, Outbox, Raised};
use crate::phones::Phones;
use crate::quotas::Quotas;
use crate::refusal::Refusal;
use crate::retry::Rule;
use crate::settings::{FormChoice, Settings};
use crate::shops::{Component, Shop, ShopKind};
use crate::tokens::Tokens;

/// What happens by itself when its time comes.
#[derive(Clone, Debug)]
pub(crate) enum Timer {
    /// The next `component_verify_ticket`.
    Ticket,
    /// A buyer's address request is accepted.
    AutoAccept { order_id: String, asked_at: i64 },
    /// A merchant's address change lapses.
    ProposalLapse { order_id: String, asked_at: i64 },
    /// A sku change lapses.
    SkuLapse { order_id: String, deadline: i64 },
}

pub(crate) struct State {
    pub settings: Settings,
    pub dice: Dice,
    pub component: Component,
    /// The host that was pointed at, for self-built shops added later.
    pub host: Option<String>,
    pub shops: BTreeMap<String, Shop>,
    pub orders: BTreeMap<String, Order>,
    pub tokens: Tokens,
    pub outbox: Outbox,
    pub faults: FaultPlan,
    pub quotas: Quotas,
    pub phones: Phones,
    pub calls: Vec<Call>,
    /// Rises at each call's begin and end.
    pub tick: u64,
    /// Orders that a call is changing right now.
    pub busy: HashSet<String>,
    /// Spellings asked for, by shop.
    pub spell_next: HashMap<String, VecDeque<PushForm>>,
    pub last_order_id: u64,
    timers: BTreeMap<(i64, u64), Timer>,
    timers_set: u64,
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut dice = Dice::new(settings.seed);
        let component = Component::generate(&mut dice);
        State {
            settings,
            dice,
            component,
            host: None,
            shops: BTreeMap::new(),
            orders: BTreeMap::new(),
            tokens: Tokens::default(),
            outbox: Outbox::default(),
            faults: FaultPlan::default(),
            quotas: Quotas::default(),
            phones: Phones::default(),
            calls: Vec::new(),
            tick: 0,
            busy: HashSet::new(),
            spell_next: HashMap::new(),
            // After the two real orders.
            last_order_id: 3_732_700_000_000_000_000,
            timers: BTreeMap::new(),
            timers_set: 0,
        }
    }

    pub(crate) fn next_tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    pub(crate) fn order(&mut self, id: &str) -> Result<&mut Order, Refusal> {
        self.orders.get_mut(id).ok_or_else(Refusal::no_order)
    }

    pub(crate) fn set_timer(&mut self, due_ms: i64, timer: Timer) {
        self.timers_set += 1;
        self.timers.insert((due_ms, self.timers_set), timer);
    }

    pub(crate) fn next_timer(&self) -> Option<i64> {
        self.timers.keys().next().map(|(due, _)| *due)
    }

    /// Lets happen what is due.
    pub(crate) fn pass(&mut self, now_ms: i64) {
        while let Some(entry) = self.timers.first_entry() {
            let due = entry.key().0;
            if due > now_ms {
                break;
            }
            match entry.remove() {
                Timer::Ticket => self.push_ticket_and_go_on(due),
                Timer::AutoAccept { order_id, asked_at } => self.auto_accept(&order_id, asked_at, due),
                Timer::ProposalLapse { order_id, asked_at } => self.lapse_proposal(&order_id, asked_at, due),
                Timer::SkuLapse { order_id, deadline } => self.lapse_sku(&order_id, deadline, due),
            }
        }
    }

    /// (Re)starts the ticket's rhythm with a push now.
    pub(crate) fn start_tickets(&mut self, now_ms: i64) {
        self.timers.retain(|_, timer| !matches!(timer, Timer::Ticket));
        self.push_ticket_and_go_on(now_ms);
    }

    fn push_ticket_and_go_on(&mut self, now_ms: i64) {
        self.push_ticket(now_ms);
        if let Some(every_s) = self.settings.ticket_every_s.filter(|s| *s > 0) {
            self.set_timer(now_ms + every_s * 1000, Timer::Ticket);
        }
    }

    /// Pushes the event of an order to its shop.
    pub(crate) fn raise(&mut self, order_id: &str, event: OrderEvent, now_ms: i64) {
        let Some(order) = self.orders.get(order_id) else { return };
        let Some(shop) = self.shops.get(&order.appid) else { return };
        let appid = shop.appid.clone();
        let message = EventMessage {
            to_user_name: shop.user_name.clone(),
            from_user_name: order.openid().to_owned(),
            create_time: now_ms / 1000,
            order_id: order_id.to_owned(),
            event,
        };
        let faults = self.settings.push_faults;
        let mut dice = Dice::for_thing(self.settings.seed, "push faults", self.outbox.pushes().len() as u64);
        let dropped = dice.chance(faults.drop);
        let copies = if dice.chance(faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let late_ms = if dice.chance(faults.reorder) {
                dice.below(u64::try_from(faults.reorder_within_s.max(0)).unwrap_or(0) * 1000 + 1)
            } else {
                0
            };
            let form = self.form_for(&appid);
            let raised = Raised {
                to: Destination::Shop(appid.clone()),
                appid: Some(appid.clone()),
                name: message.event.name().to_owned(),
                text: message.spell(form),
                openid: Some(message.from_user_name.clone()),
                event: Some(message.clone()),
                form,
                rule: Rule::Store,
                addressed: self.url_of(&Destination::Shop(appid.clone())).is_some(),
                dropped,
                due_ms: now_ms + i64::try_from(late_ms).unwrap_or(0),
            };
            self.outbox.add(raised, self.settings.seed, self.settings.retry_envelope, now_ms);
        }
    }

    /// Pushes any message to a shop's URL: `debug_demo`, an event that nobody knows, or plain nonsense.
    pub(crate) fn raise_text(&mut self, appid: &str, name: &str, text: String, body: Body, now_ms: i64) -> Option<u64> {
        self.shops.get(appid)?;
        let to = Destination::Shop(appid.to_owned());
        let raised = Raised {
            addressed: self.url_of(&to).is_some(),
            to,
            appid: Some(appid.to_owned()),
            name: name.to_owned(),
            event: None,
            text,
            openid: None,
            form: PushForm { body, ids: Spelling::Number, codes: Spelling::Number },
            rule: Rule::Store,
            dropped: false,
            due_ms: now_ms,
        };
        Some(self.outbox.add(raised, self.settings.seed, self.settings.retry_envelope, now_ms))
    }

    /// Pushes to the authorization URL. Such messages are XML always.
    pub(crate) fn raise_authorization(
        &mut self,
        appid: Option<&str>,
        name: &str,
        text: String,
        rule: Rule,
        now_ms: i64,
    ) -> u64 {
        let raised = Raised {
            to: Destination::Authorization,
            appid: appid.map(str::to_owned),
            name: name.to_owned(),
            event: None,
            text,
            openid: None,
            form: PushForm { body: Body::Xml, ids: Spelling::Number, codes: Spelling::Number },
            rule,
            addressed: self.component.authorization_url.is_some(),
            dropped: false,
            due_ms: now_ms,
        };
        self.outbox.add(raised, self.settings.seed, self.settings.retry_envelope, now_ms)
    }

    /// Where pushes go.
    pub(crate) fn url_of(&self, to: &Destination) -> Option<String> {
        match to {
            Destination::Authorization => self.component.authorization_url.clone(),
            Destination::Shop(appid) => {
                let shop = self.shops.get(appid)?;
                match shop.kind {
                    ShopKind::SelfBuilt => shop.callback_url.clone(),
                    // A revoked component gets nothing more.
                    ShopKind::Authorized if !shop.authorized => None,
                    ShopKind::Authorized => {
                        self.component.message_url.as_ref().map(|url| url.replace("$APPID$", appid))
                    }
                }
            }
        }
    }

    fn form_for(&mut self, appid: &str) -> PushForm {
        if let Some(form) = self.spell_next.get_mut(appid).and_then(VecDeque::pop_front) {
            return form;
        }
        let self_built = self.shops.get(appid).is_some_and(|s| s.kind == ShopKind::SelfBuilt);
        match self.settings.form {
            FormChoice::Fixed(form) => form,
            FormChoice::Documented => PushForm {
                body: if self_built { Body::Json } else { Body::Xml },
                ids: Spelling::Number,
                codes: Spelling::Number,
            },
            FormChoice::BySeed => {
                let number = self.outbox.pushes().len() as u64;
                let drawn = Dice::for_thing(self.settings.seed, "form", number).below(PushForm::ALL.len() as u64);
                PushForm::ALL[drawn as usize]
            }
        }
    }
}
