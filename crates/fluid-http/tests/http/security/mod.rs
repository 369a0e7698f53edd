//! Who is let in, and what nobody can make the server do.

mod admission;
mod browser;
mod limits;
mod names;
mod place;
