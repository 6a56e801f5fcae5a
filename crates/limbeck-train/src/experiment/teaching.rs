//! The teacher of a run in progress.

use std::path::{Path, PathBuf};

use limbeck_methods::Teacher;
use limbeck_nn::Network;

use super::{Plan, TeacherPlan, sharing::Trained};
use crate::teacher::FrozenTeacher;

/// The teacher of a run in progress.
pub(super) enum Teaching<'a> {
    None,
    Ready(&'a Network, &'a dyn Teacher),
    Trained(Box<TrainedFirst>),
}

/// A teacher that this run has trained.
pub(super) struct TrainedFirst {
    pub network: Network,
    pub teacher: FrozenTeacher,
    /// Its weights' file.
    pub weights: PathBuf,
    /// Hash of it.
    pub sha256: String,
    /// What its training took.
    pub seconds: f64,
}

impl Teaching<'_> {
    pub fn knowledge(&self) -> Option<&dyn Teacher> {
        match self {
            Teaching::None => None,
            Teaching::Ready(_, teacher) => Some(*teacher),
            Teaching::Trained(trained) => Some(&trained.teacher),
        }
    }

    /// The file of the teacher's weights, where this run has trained it.
    pub fn weights(&self) -> Option<&Path> {
        match self {
            Teaching::Trained(trained) => Some(&trained.weights),
            _ => None,
        }
    }

    pub fn seconds(&self) -> f64 {
        match self {
            Teaching::Trained(trained) => trained.seconds,
            _ => 0.0,
        }
    }

    pub fn network(&self) -> Option<&Network> {
        match self {
            Teaching::None => None,
            Teaching::Ready(network, _) => Some(network),
            Teaching::Trained(trained) => Some(&trained.network),
        }
    }

    /// The teacher as the one whose outputs may be stored.
    pub fn trained<'b>(&'b self, plan: &'b Plan) -> Option<Trained<'b>> {
        match (self, &plan.teacher) {
            (Teaching::Trained(trained), _) => Some(Trained {
                network: &trained.network,
                normalisation: &plan.normalisation,
                sha256: &trained.sha256,
            }),
            (
                Teaching::Ready(network, _),
                TeacherPlan::Ready {
                    normalisation,
                    sha256,
                    ..
                },
            ) => Some(Trained {
                network,
                normalisation,
                sha256,
            }),
            _ => None,
        }
    }
}
