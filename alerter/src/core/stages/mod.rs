//! What becomes of a detection until its deliveries wait, a stage a file: [`route`] says which channels it goes to,
//! [`hold`] whether one gets it now, later or not, [`plan`] makes a delivery of it and says when it is tried first,
//! [`limit`] says whether there is room, [`gather`] which others it goes with, [`bundle`] what it tells besides. A stage
//! takes values and gives one; what it turns away has a `Reason`. The planner runs them in this order.

pub(super) mod bundle;
pub(super) mod gather;
pub(super) mod hold;
pub(super) mod limit;
pub(super) mod plan;
pub(super) mod route;
