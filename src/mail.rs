//! Mail: typed letters, how they read, and the ways they leave the house.
//!
//! A [`Letter`] says what is to be told; the [`Renderer`] makes bytes of it, the same for every attempt at one mail; a [`Transport`]
//! hands the bytes on and says, when that fails, whether the message is at fault or the way. What to do about it is for the caller.
//!
//! A mail that an anonymous caller can cause, which is every one but the invitation, has no room for text of theirs. A rendered
//! letter holds the link's token, so it is never logged, and nothing that holds one has a `Debug`.

mod letter;
mod overrides;
mod renderer;
mod samples;
mod templates;
mod transport;

pub use letter::{ConfirmationLink, Letter, PasswordLink};
pub use renderer::{RenderError, Rendered, Renderer, RendererError, Wording};
pub use templates::TemplateError;
pub use transport::{OpenError, SendFault, Transport};
