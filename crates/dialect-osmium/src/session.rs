//! One connection as a state machine: frames in, steps out. It has no socket and never waits; what needs the service
//! comes out as [`Work`] and its outcome goes back in, so every rule of `protocols/osmium.md` §1 to §3 about what may
//! come when, and about what every answer looks like, is here.

use crate::{
    error::{Answer, Refusal},
    frame::{self, Frame},
    limits,
    realm::Realm,
    seats::Seat,
    wire::{Authorization, Initialized, SignIn, Update, client_message::Request, rpc_result},
};
use rand::RngExt;
use std::{future::pending, sync::Arc};
use tokio::sync::Semaphore;

/// Close code for a frame of text: this protocol has none.
pub const UNSUPPORTED: u16 = 1003;
/// Close code for bytes that are no message.
pub const MALFORMED: u16 = 1007;
/// Close code for who is too slow, never authorizes, or tries too many tokens.
pub const POLICY: u16 = 1008;
/// Close code for a frame that is too large.
pub const TOO_LARGE: u16 = 1009;
/// Close code when the program stops: come back.
pub const GOING_AWAY: u16 = 1001;

/// The realms that connections may sign in to.
pub struct Realms {
    /// All of them.
    pub list: Vec<Arc<Realm>>,
    /// Passwords that are checked at once.
    pub password_checks: Semaphore,
}

/// What a frame asks of the one who drives the session.
pub enum Step {
    /// Nothing.
    Nothing,
    /// Send this.
    Send(Vec<u8>),
    /// Send this, and end the connection unless it shows something better soon.
    Refuse(Vec<u8>),
    /// Do this, then [`Session::on_done`].
    Work(Work),
    /// Turn the client away.
    Close(u16),
}

/// Something that takes time.
pub struct Work {
    req_id: u32,
    what: What,
}

enum What {
    Call(Arc<Realm>, u64, Box<Request>),
    SignIn(Arc<Realms>, SignIn),
}

/// What became of [`Work`].
pub struct Done {
    req_id: u32,
    outcome: Outcome,
}

enum Outcome {
    Answered(Answer<Option<rpc_result::Result>>),
    SignedIn(Answer<(Arc<Realm>, u64)>),
}

/// A connection.
pub struct Session {
    realms: Arc<Realms>,
    /// The number of the last message that was sent.
    sent: u32,
    silent: bool,
    refusals: u32,
    login: Option<Login>,
}

struct Login {
    realm: Arc<Realm>,
    user: u64,
    seat: Seat,
}

impl Session {
    /// A connection that was just opened.
    pub fn new(realms: Arc<Realms>) -> Session {
        Session { realms, sent: 0, silent: false, refusals: 0, login: None }
    }

    /// Whether it has authorized.
    pub fn is_authorized(&self) -> bool {
        self.login.is_some()
    }

    /// Takes one inbound frame.
    pub fn on_frame(&mut self, bytes: &[u8]) -> Step {
        match frame::decode(bytes) {
            Ok(Frame::Keepalive) => Step::Nothing,
            Ok(Frame::Call(req_id, request)) => self.on_request(req_id, request),
            Ok(Frame::Unknown(req_id)) => {
                let refusal = match self.login {
                    Some(_) => Refusal::not_served("this method"),
                    None => Refusal::unauthenticated(),
                };
                Step::Send(self.answer(req_id, Err(refusal)))
            }
            Err(_) => Step::Close(MALFORMED),
        }
    }

    fn on_request(&mut self, req_id: u32, request: Box<Request>) -> Step {
        match *request {
            Request::CoreInitialize(initialize) => {
                self.silent = initialize.no_subscribe;
                Step::Send(self.answer(req_id, Ok(Some(rpc_result::Result::Initialized(Initialized::default())))))
            }
            Request::AuthAuthorize(authorize) => {
                let found =
                    self.realms.list.iter().find_map(|realm| Some((realm, realm.user_of_token(&authorize.token)?)));
                let found = found.map(|(realm, user)| (realm.clone(), user)).ok_or(Refusal::bad_token());
                self.log_in(req_id, found, Some(authorize.token))
            }
            Request::AuthSignIn(sign_in) => self.work(req_id, What::SignIn(self.realms.clone(), sign_in)),
            Request::AuthSignUp(_) => Step::Send(self.answer(req_id, Err(Refusal::not_served("signing up")))),
            request => match &self.login {
                Some(login) => self.work(req_id, What::Call(login.realm.clone(), login.user, Box::new(request))),
                None => Step::Send(self.answer(req_id, Err(Refusal::unauthenticated()))),
            },
        }
    }

    fn work(&self, req_id: u32, what: What) -> Step {
        Step::Work(Work { req_id, what })
    }

    /// What became of work.
    pub fn on_done(&mut self, done: Done) -> Step {
        match done.outcome {
            Outcome::Answered(answer) => Step::Send(self.answer(done.req_id, answer)),
            Outcome::SignedIn(found) => self.log_in(done.req_id, found, None),
        }
    }

    /// Answers with the same token that was shown, or with a new one. A second login takes the place of the first.
    fn log_in(&mut self, req_id: u32, found: Answer<(Arc<Realm>, u64)>, token: Option<String>) -> Step {
        let (realm, user) = match found {
            Ok(found) => found,
            Err(refusal) => return self.refuse(req_id, refusal),
        };
        let directory = realm.directory();
        let Some(entry) = directory.user(user) else { return self.refuse(req_id, Refusal::bad_token()) };
        let token = token.unwrap_or_else(|| realm.token_of(entry));
        self.login = None;
        let seat = match realm.seats.take(user, self.silent) {
            Ok(seat) => seat,
            Err(refusal) => return Step::Send(self.answer(req_id, Err(refusal))),
        };
        self.refusals = 0;
        self.login = Some(Login { realm, user, seat });
        let session_id = rand::rng().random_range(1..=u64::MAX >> 1);
        let authorization = Authorization { token, user: Some(directory.shown_user(user)), session_id };
        Step::Send(self.answer(req_id, Ok(Some(rpc_result::Result::Authorization(authorization)))))
    }

    fn refuse(&mut self, req_id: u32, refusal: Refusal) -> Step {
        self.refusals += 1;
        if self.refusals > limits::REFUSALS {
            return Step::Close(POLICY);
        }
        Step::Refuse(self.answer(req_id, Err(refusal)))
    }

    /// Waits for an update. None when the connection was too slow for them, or its rights ended. Cancel-safe.
    pub async fn next_update(&mut self) -> Option<Arc<Update>> {
        match &mut self.login {
            Some(login) => login.seat.next().await,
            None => pending().await,
        }
    }

    /// The frame of an update.
    pub fn update(&mut self, update: &Update) -> Vec<u8> {
        frame::encode_update(self.next_id(), update.clone())
    }

    fn answer(&mut self, req_id: u32, answer: Answer<Option<rpc_result::Result>>) -> Vec<u8> {
        let id = self.next_id();
        match answer {
            Ok(result) => frame::encode_result(id, req_id, result),
            Err(refusal) => {
                let trace_id = format!("{:08x}", rand::rng().random::<u32>());
                tracing::debug!(trace_id, code = refusal.code, text = refusal.text, "an Osmium call is refused");
                frame::encode_error(id, req_id, refusal.to_wire(), Some(trace_id))
            }
        }
    }

    fn next_id(&mut self) -> u32 {
        self.sent = self.sent.wrapping_add(1);
        self.sent
    }
}

impl Work {
    /// Does it.
    pub async fn run(self) -> Done {
        let outcome = match self.what {
            What::Call(realm, user, request) => Outcome::Answered(realm.call(user, *request).await),
            What::SignIn(realms, sign_in) => Outcome::SignedIn(realms.sign_in(sign_in).await),
        };
        Done { req_id: self.req_id, outcome }
    }
}

impl Realms {
    /// The user with this email and password. Unknown emails and wrong passwords get the same answer.
    async fn sign_in(&self, sign_in: SignIn) -> Answer<(Arc<Realm>, u64)> {
        let wrong = || Refusal::forbidden("the email or the password is not right");
        if sign_in.password.len() > limits::NAME_BYTES {
            return Err(wrong());
        }
        for realm in &self.list {
            let directory = realm.directory();
            let Some(user) = directory.user_with_email(&sign_in.email) else { continue };
            let Some(password) = user.password.clone() else { continue };
            let Ok(_permit) = self.password_checks.try_acquire() else {
                return Err(Refusal::too_many("too many sign in at once; try again in a second"));
            };
            let shown = sign_in.password.clone();
            let checked = tokio::task::spawn_blocking(move || password.is(&shown)).await;
            if checked.map_err(model::Error::internal)? {
                return Ok((realm.clone(), user.id));
            }
        }
        Err(wrong())
    }
}
