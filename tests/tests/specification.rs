//! References of the pages to each other and to the code are right:
//!
//! * every promise has a proof that exists;
//! * every citation names a rule that exists;
//! * every link leads to a page and heading that exist.

#[path = "specification/citations.rs"]
mod citations;
#[path = "specification/comments.rs"]
mod comments;
#[path = "specification/links.rs"]
mod links;
#[path = "specification/names.rs"]
mod names;
#[path = "specification/promises.rs"]
mod promises;
#[path = "specification/repository.rs"]
mod repository;
#[path = "specification/rules.rs"]
mod rules;
