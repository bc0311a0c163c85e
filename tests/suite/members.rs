//! Members: what changes do, who may not make them, and the list.

mod changing;
mod ending;
mod guards;
mod listing;
