//! An intake that fails on demand, around the real one.

use std::sync::{Arc, Mutex};

use fangshi_callback::{Durable, Intake, NotRecorded};
use fangshi_journal::{NewEvent, Recorded};
use fangshi_tenants::AuthorizationChange;
use secrecy::{ExposeSecret, SecretString};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)]
pub enum Fault {
    None,
    /// Nothing is written.
    Refuse,
    /// It is written, and reported as failed.
    RefuseAfterwards,
    /// No answer comes.
    Hang,
    /// Events are written, tickets are not kept.
    RefuseTicket,
}

#[derive(Clone)]
pub struct Control(Arc<Mutex<State>>);

struct State {
    fault: Fault,
    tickets: Vec<(String, i64)>,
}

impl Control {
    pub fn set(&self, fault: Fault) {
        self.0.lock().unwrap().fault = fault;
    }

    /// Tickets that reached custody.
    #[allow(dead_code)]
    pub fn tickets(&self) -> Vec<(String, i64)> {
        self.0.lock().unwrap().tickets.clone()
    }

    fn fault(&self) -> Fault {
        self.0.lock().unwrap().fault
    }
}

pub struct Faulty {
    durable: Durable,
    control: Control,
}

impl Faulty {
    pub fn around() -> (impl FnOnce(Durable) -> Self, Control) {
        let control = Control(Arc::new(Mutex::new(State { fault: Fault::None, tickets: Vec::new() })));
        let inner = control.clone();
        (move |durable| Self { durable, control: inner }, control)
    }
}

fn failed() -> NotRecorded {
    NotRecorded("the disk is full".into())
}

impl Intake for Faulty {
    async fn record(&self, event: NewEvent) -> Result<Recorded, NotRecorded> {
        match self.control.fault() {
            Fault::Refuse => Err(failed()),
            Fault::Hang => std::future::pending().await,
            Fault::RefuseAfterwards => {
                self.durable.record(event).await?;
                Err(failed())
            }
            Fault::None | Fault::RefuseTicket => self.durable.record(event).await,
        }
    }

    async fn record_component(
        &self,
        event: NewEvent,
        change: Option<AuthorizationChange>,
    ) -> Result<Recorded, NotRecorded> {
        match self.control.fault() {
            Fault::Refuse => Err(failed()),
            Fault::Hang => std::future::pending().await,
            Fault::RefuseAfterwards => {
                self.durable.record_component(event, change).await?;
                Err(failed())
            }
            Fault::None | Fault::RefuseTicket => self.durable.record_component(event, change).await,
        }
    }

    async fn keep_ticket(&self, ticket: SecretString, created_at: i64) -> Result<(), NotRecorded> {
        if self.control.fault() == Fault::RefuseTicket {
            return Err(failed());
        }
        self.durable.keep_ticket(ticket.clone(), created_at).await?;
        self.control.0.lock().unwrap().tickets.push((ticket.expose_secret().to_owned(), created_at));
        Ok(())
    }
}
