//! The networks and modules that a procedure trains, by name.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device};
use limbeck_nn::{
    Builder, Network, Store, model,
    seed::{self, Purpose},
};

use crate::{Follower, MethodError};

/// Name of the network that the user asked to train.
pub const STUDENT: &str = "student";

/// A network, or modules of a method without an architecture of the zoo.
#[derive(Clone, Debug)]
pub enum Member {
    /// Architecture and numbers.
    Network(Network),
    /// Numbers alone; the procedure knows the operations.
    Modules(Store),
}

/// All that a procedure trains, each under a name of its own. Numbers and optimiser states go
/// into checkpoints under these names; the file of the student holds the student alone.
#[derive(Clone, Debug)]
pub struct Cast {
    members: BTreeMap<String, Member>,
    device: Device,
    dtype: DType,
}

impl Cast {
    /// The student alone, as [`STUDENT`].
    pub fn new(student: Network) -> Self {
        let (device, dtype) = (student.store.device().clone(), student.store.dtype());
        let members = [(STUDENT.to_owned(), Member::Network(student))].into();
        Self {
            members,
            device,
            dtype,
        }
    }

    /// Adds a network, such as a copy of the student's or one read from somewhere.
    pub fn add_network(&mut self, name: &str, network: Network) {
        self.members
            .insert(name.to_owned(), Member::Network(network));
    }

    /// Adds the zoo's network `model` for the student's images and classes, freshly drawn from
    /// `seed`.
    ///
    /// # Errors
    /// An unknown model, or one that does not take such images.
    pub fn add_model(&mut self, name: &str, model: &str, seed: u64) -> Result<(), MethodError> {
        let input = self.network(STUDENT)?.input();
        let network = model::build(model, input, seed, &self.device, self.dtype)?;
        self.add_network(name, network);
        Ok(())
    }

    /// Adds modules: `make` builds them, drawn from `seed`.
    ///
    /// # Errors
    /// Whatever `make` refuses.
    pub fn add_modules<T>(
        &mut self,
        name: &str,
        seed: u64,
        make: impl FnOnce(&mut Builder<'_>) -> Result<T, MethodError>,
    ) -> Result<T, MethodError> {
        let mut store = Store::new(&self.device, self.dtype);
        let made = make(&mut Builder::new(&mut store, seed))?;
        self.add_store(name, store);
        Ok(made)
    }

    /// Adds modules whose numbers are in `store`.
    pub fn add_store(&mut self, name: &str, store: Store) {
        self.members.insert(name.to_owned(), Member::Modules(store));
    }

    /// All members, by name.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members
            .iter()
            .map(|(name, member)| (name.as_str(), member))
    }

    /// The member called `name`.
    ///
    /// # Errors
    /// [`MethodError::Member`] where there is none.
    pub fn member(&self, name: &str) -> Result<&Member, MethodError> {
        self.members.get(name).ok_or_else(|| self.no_member(name))
    }

    /// The network called `name`.
    ///
    /// # Errors
    /// [`MethodError::Member`] where there is none, or where it is modules.
    pub fn network(&self, name: &str) -> Result<&Network, MethodError> {
        match self.member(name)? {
            Member::Network(network) => Ok(network),
            Member::Modules(_) => Err(MethodError::Member {
                name: name.to_owned(),
                reason: "is modules, not a network".to_owned(),
            }),
        }
    }

    /// The numbers of the member called `name`.
    ///
    /// # Errors
    /// [`MethodError::Member`] where there is none.
    pub fn store(&self, name: &str) -> Result<&Store, MethodError> {
        Ok(self.member(name)?.store())
    }

    /// The same, to change.
    ///
    /// # Errors
    /// [`MethodError::Member`] where there is none.
    pub fn store_mut(&mut self, name: &str) -> Result<&mut Store, MethodError> {
        let error = self.no_member(name);
        match self.members.get_mut(name) {
            Some(Member::Network(network)) => Ok(&mut network.store),
            Some(Member::Modules(store)) => Ok(store),
            None => Err(error),
        }
    }

    /// Lets a member follow another one, as its [`Follower`] says.
    ///
    /// # Errors
    /// A member that is not there, or one of another architecture.
    pub fn follow(&mut self, follower: &Follower) -> Result<(), MethodError> {
        let leader = self.store(&follower.follows)?.clone();
        let store = self.store_mut(&follower.member)?;
        let shapes = |store: &Store| -> Vec<Vec<usize>> {
            let entries = store.entries().iter();
            entries.map(|entry| entry.shape.clone()).collect()
        };
        if shapes(store) != shapes(&leader) {
            return Err(MethodError::Member {
                name: follower.member.clone(),
                reason: format!("cannot follow `{}`, another network", follower.follows),
            });
        }
        store.follow(&leader, follower.momentum, follower.statistics);
        Ok(())
    }

    /// Where all numbers are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Element type of all numbers.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    fn no_member(&self, name: &str) -> MethodError {
        let names: Vec<&str> = self.members.keys().map(String::as_str).collect();
        MethodError::Member {
            name: name.to_owned(),
            reason: format!("is not there; there are: {}", names.join(", ")),
        }
    }
}

impl Member {
    /// Its numbers.
    pub fn store(&self) -> &Store {
        match self {
            Member::Network(network) => &network.store,
            Member::Modules(store) => store,
        }
    }
}

/// A seed for the member number `index` (counted from 1) of a run with `seed`: others than the
/// student's, and different for each.
pub fn member_seed(seed: u64, index: usize) -> u64 {
    seed::derive(seed, Purpose::Member, index as u64)
}
