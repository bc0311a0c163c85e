//! Many at once: each address with its own result, members all or none.

mod inviting;
mod updating;
