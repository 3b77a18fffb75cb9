//! Errors: few kinds, each telling whose fault it is and whether to try again; many causes inside.

use std::{error, fmt};

/// The result of anything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about a failure. Each dialect turns a kind into its vendor's status, code and body in one
/// exhaustive `match`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// The caller's fault: the request can never work as it is.
    Invalid,
    /// The caller's fault: something is larger than its bound.
    TooLarge,
    /// Nobody said who is calling, or the proof does not hold.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// There is no such thing, or the caller may not know that there is.
    NotFound,
    /// It contradicts what is there: another payload under the same key, another version of a record.
    Conflict,
    /// Too much asked in too short a time: try again later.
    TooMany,
    /// The server cannot now: try again. A change may or may not have happened; the message says which.
    Unavailable,
    /// The server's fault; the details are in its log, never in the answer.
    Internal,
}

/// A failure, with two texts: `message` for the caller, the source for the log.
pub struct Error {
    /// What to do about it.
    pub kind: ErrorKind,
    /// For the caller: names the field and the reason; lower case, no full stop, never inner details.
    pub message: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of this kind with a text for the caller.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), source: None }
    }

    /// The same with the cause, which goes to the log only.
    pub fn with_source(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// [`ErrorKind::Invalid`]: name the field and the reason.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, message)
    }

    /// [`ErrorKind::Unavailable`]: say whether anything may have been written.
    pub fn unavailable(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unavailable, message)
    }

    /// [`ErrorKind::Internal`]: a cause that the caller must not see.
    pub fn internal(source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Error {
        Error::new(ErrorKind::Internal, "internal error").with_source(source)
    }

    /// The same kind and text for a second caller of a shared piece of work; the source stays with the first.
    pub fn again(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)?;
        match &self.source {
            Some(source) => write!(f, " (caused by: {source:?})"),
            None => Ok(()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
