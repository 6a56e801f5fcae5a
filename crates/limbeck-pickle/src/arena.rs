//! The objects of a pickle while it is read, and their unfolding into a value.

use std::sync::Arc;

use crate::{Limits, Reason, Reduce, Value};

/// Index of an object.
pub(crate) type Id = usize;

/// An object; others are referred to by index, so that lists and dictionaries can still grow
/// after they were memoised.
pub(crate) enum Node {
    Leaf(Value),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    /// Keys and values in turn.
    Dict(Vec<Id>),
    Set(Vec<Id>),
    Reduce(Box<ReduceNode>),
    Persistent(Id),
}

/// A call that was not made.
pub(crate) struct ReduceNode {
    pub callable: Id,
    pub arguments: Id,
    pub keywords: Option<Id>,
    pub state: Option<Id>,
    pub items: Vec<Id>,
    /// Keys and values in turn.
    pub pairs: Vec<Id>,
}

impl Node {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Node::Leaf(value) => value.kind(),
            Node::List(_) => "a list",
            Node::Tuple(_) => "a tuple",
            Node::Dict(_) => "a dictionary",
            Node::Set(_) => "a set",
            Node::Reduce(_) => "an object",
            Node::Persistent(_) => "a persistent object",
        }
    }

    /// The `index`-th object that this one refers to.
    fn child(&self, index: usize) -> Option<Id> {
        match self {
            Node::Leaf(_) => None,
            Node::List(ids) | Node::Tuple(ids) | Node::Dict(ids) | Node::Set(ids) => {
                ids.get(index).copied()
            }
            Node::Persistent(id) => (index == 0).then_some(*id),
            Node::Reduce(call) => {
                let single = [
                    Some(call.callable),
                    Some(call.arguments),
                    call.keywords,
                    call.state,
                ];
                let singles = single.iter().flatten().count();
                match index.checked_sub(singles) {
                    None => single.into_iter().flatten().nth(index),
                    Some(rest) => match rest.checked_sub(call.items.len()) {
                        None => Some(call.items[rest]),
                        Some(rest) => call.pairs.get(rest).copied(),
                    },
                }
            }
        }
    }
}

/// What is known of an object while the value is put together.
#[derive(Clone)]
enum Progress {
    Untouched,
    /// Its parts are being put together: reaching it again means a cycle.
    Open,
    Done(Unfolded),
}

/// A finished value.
#[derive(Clone)]
struct Unfolded {
    value: Value,
    /// Levels of nesting; 1 for a leaf.
    depth: usize,
    /// Nodes with shared parts counted wherever they are reached.
    nodes: usize,
}

/// Puts the value of `root` together, each shared object once and without recursion.
pub(crate) fn unfold(arena: &[Node], root: Id, limits: &Limits) -> Result<Value, Reason> {
    let max_depth = limits.depth.min(Limits::MAX_DEPTH);
    let mut progress = vec![Progress::Untouched; arena.len()];
    let mut open = vec![(root, 0)];
    progress[root] = Progress::Open;
    while let Some((id, next)) = open.last_mut() {
        let id = *id;
        if let Some(child) = arena[id].child(*next) {
            *next += 1;
            match progress[child] {
                Progress::Done(_) => {}
                Progress::Open => return Err(Reason::Cyclic),
                Progress::Untouched => {
                    progress[child] = Progress::Open;
                    open.push((child, 0));
                }
            }
            continue;
        }
        let (mut depth, mut nodes) = (0, 1usize);
        let mut index = 0;
        while let Some(child) = arena[id].child(index) {
            if let Progress::Done(part) = &progress[child] {
                depth = depth.max(part.depth);
                nodes = nodes.saturating_add(part.nodes);
            }
            index += 1;
        }
        depth += 1;
        if depth > max_depth {
            return Err(Reason::Limit {
                what: "levels of nesting",
                limit: max_depth,
            });
        }
        if nodes > limits.nodes {
            return Err(Reason::Limit {
                what: "objects",
                limit: limits.nodes,
            });
        }
        let value = assemble(&arena[id], &progress);
        progress[id] = Progress::Done(Unfolded {
            value,
            depth,
            nodes,
        });
        open.pop();
    }
    Ok(finished(&progress, root))
}

/// The value of a node whose parts are all finished.
fn assemble(node: &Node, progress: &[Progress]) -> Value {
    let one = |id: &Id| finished(progress, *id);
    let all = |ids: &[Id]| ids.iter().map(one).collect::<Arc<[Value]>>();
    let pairs = |ids: &[Id]| -> Vec<(Value, Value)> {
        ids.chunks_exact(2)
            .map(|pair| (one(&pair[0]), one(&pair[1])))
            .collect()
    };
    match node {
        Node::Leaf(value) => value.clone(),
        Node::List(ids) => Value::List(all(ids)),
        Node::Tuple(ids) => Value::Tuple(all(ids)),
        Node::Set(ids) => Value::Set(all(ids)),
        Node::Dict(ids) => Value::Dict(pairs(ids).into()),
        Node::Persistent(id) => Value::Persistent(Arc::new(one(id))),
        Node::Reduce(call) => Value::Reduce(Arc::new(Reduce {
            callable: one(&call.callable),
            // The machine lets nothing but tuples through.
            arguments: match one(&call.arguments) {
                Value::Tuple(arguments) => arguments,
                other => Arc::from([other]),
            },
            keywords: call.keywords.as_ref().map(one),
            state: call.state.as_ref().map(one),
            items: call.items.iter().map(one).collect(),
            pairs: pairs(&call.pairs),
        })),
    }
}

fn finished(progress: &[Progress], id: Id) -> Value {
    match &progress[id] {
        Progress::Done(part) => part.value.clone(),
        Progress::Untouched | Progress::Open => Value::None,
    }
}
