//! The stack machine that a pickle is a program for.

use std::collections::HashMap;
use std::sync::Arc;

use crate::arena::{Id, Node, ReduceNode, unfold};
use crate::cursor::Cursor;
use crate::opcode::{self, *};
use crate::scalar::scalar;
use crate::text;
use crate::{Global, Limits, PickleError, Reason, Value};

/// Latest protocol that is known.
const LATEST_PROTOCOL: u8 = 5;

/// Reads `bytes`, which hold one pickle and nothing else.
///
/// # Errors
/// Where the bytes are no pickle, are damaged or pass `limits`; where bytes follow.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Value, PickleError> {
    let (value, length) = parse_prefix(bytes, limits)?;
    if length < bytes.len() {
        return Err(PickleError {
            offset: length,
            opcode: None,
            reason: Reason::TrailingBytes(bytes.len() - length),
        });
    }
    Ok(value)
}

/// Reads the pickle that `bytes` begin with. Returns its value and its length in bytes.
///
/// # Errors
/// Where the bytes are no pickle, are damaged or pass `limits`.
pub fn parse_prefix(bytes: &[u8], limits: Limits) -> Result<(Value, usize), PickleError> {
    let allowed = &bytes[..bytes.len().min(limits.bytes)];
    let mut machine = Machine {
        cursor: Cursor::new(allowed),
        arena: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let mut operations = 0;
    loop {
        let offset = machine.cursor.position();
        let failed = |reason| PickleError {
            offset,
            opcode: allowed.get(offset).and_then(|&byte| opcode::name(byte)),
            reason: match reason {
                Reason::Truncated if allowed.len() < bytes.len() => Reason::Limit {
                    what: "bytes in one pickle",
                    limit: limits.bytes,
                },
                other => other,
            },
        };
        operations += 1;
        if operations > limits.operations {
            return Err(failed(Reason::Limit {
                what: "operations",
                limit: limits.operations,
            }));
        }
        if let Some(root) = machine.step().map_err(failed)? {
            let value = unfold(&machine.arena, root, &limits).map_err(failed)?;
            return Ok((value, machine.cursor.position()));
        }
    }
}

struct Machine<'a> {
    cursor: Cursor<'a>,
    arena: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at which marks were set.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl Machine<'_> {
    /// Runs one operation; `STOP` gives the object that was built. Each operation adds at most
    /// two objects, one stack or memo entry and references that were on the stack before, so the
    /// number of operations bounds the memory (payloads are bounded by the length of the input).
    fn step(&mut self) -> Result<Option<Id>, Reason> {
        match self.cursor.byte()? {
            STOP => return self.pop().map(Some),
            PROTO => {
                let protocol = self.cursor.byte()?;
                if protocol > LATEST_PROTOCOL {
                    return Err(Reason::UnknownProtocol(protocol));
                }
            }
            FRAME => {
                let length = self.cursor.u64()?;
                self.cursor.check(length)?;
            }
            code @ (MARK | POP | POP_MARK | DUP) => self.arrange(code)?,
            code @ (PUT | BINPUT | LONG_BINPUT | MEMOIZE | GET | BINGET | LONG_BINGET) => {
                self.memorise(code)?;
            }
            code @ (EMPTY_LIST | LIST | APPEND | APPENDS | EMPTY_TUPLE | TUPLE | TUPLE1
            | TUPLE2 | TUPLE3 | EMPTY_DICT | DICT | SETITEM | SETITEMS | EMPTY_SET
            | ADDITEMS | FROZENSET) => self.collect(code)?,
            code @ (GLOBAL | STACK_GLOBAL | REDUCE | NEWOBJ | NEWOBJ_EX | INST | OBJ | BUILD
            | PERSID | BINPERSID) => self.construct(code)?,
            EXT1 | EXT2 | EXT4 => {
                return Err(Reason::External("names from Python's extension registry"));
            }
            NEXT_BUFFER | READONLY_BUFFER => {
                return Err(Reason::External("out-of-band buffers"));
            }
            code => {
                let value = scalar(&mut self.cursor, code)?;
                self.push(Node::Leaf(value));
            }
        }
        Ok(None)
    }

    /// Marks, and what only moves the stack.
    fn arrange(&mut self, code: u8) -> Result<(), Reason> {
        match code {
            MARK => self.marks.push(self.stack.len()),
            POP_MARK => {
                self.pop_to_mark()?;
            }
            DUP => {
                let top = self.top()?;
                self.stack.push(top);
            }
            // POP: takes the mark where nothing lies above it.
            _ => {
                if self.pop().is_err() && self.marks.pop().is_none() {
                    return Err(Reason::StackUnderflow);
                }
            }
        }
        Ok(())
    }

    /// Writes and reads the memo.
    fn memorise(&mut self, code: u8) -> Result<(), Reason> {
        let index = match code {
            PUT | GET => text::index_from_text(self.cursor.line()?)?,
            BINPUT | BINGET => u64::from(self.cursor.byte()?),
            LONG_BINPUT | LONG_BINGET => u64::from(self.cursor.u32()?),
            // MEMOIZE
            _ => self.memo.len() as u64,
        };
        if matches!(code, GET | BINGET | LONG_BINGET) {
            let id = *self.memo.get(&index).ok_or(Reason::NoMemo(index))?;
            self.stack.push(id);
        } else {
            let top = self.top()?;
            self.memo.insert(index, top);
        }
        Ok(())
    }

    /// Lists, tuples, dictionaries and sets.
    fn collect(&mut self, code: u8) -> Result<(), Reason> {
        match code {
            EMPTY_LIST => self.push(Node::List(Vec::new())),
            EMPTY_TUPLE => self.push(Node::Tuple(Vec::new())),
            EMPTY_DICT => self.push(Node::Dict(Vec::new())),
            EMPTY_SET => self.push(Node::Set(Vec::new())),
            LIST => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items));
            }
            TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items));
            }
            FROZENSET => {
                let items = self.pop_to_mark()?;
                self.push(Node::Set(items));
            }
            DICT => {
                let items = self.pop_to_mark()?;
                even(&items)?;
                self.push(Node::Dict(items));
            }
            TUPLE1 | TUPLE2 | TUPLE3 => {
                let items = self.pop_many(usize::from(code - TUPLE1) + 1)?;
                self.push(Node::Tuple(items));
            }
            APPEND | APPENDS => {
                let items = self.pop_added(code == APPEND, 1)?;
                match self.top_node()? {
                    Node::List(list) => list.extend(items),
                    Node::Reduce(call) => call.items.extend(items),
                    other => return Err(wrong_kind("a list", other)),
                }
            }
            ADDITEMS => {
                let items = self.pop_to_mark()?;
                match self.top_node()? {
                    Node::Set(set) => set.extend(items),
                    Node::Reduce(call) => call.items.extend(items),
                    other => return Err(wrong_kind("a set", other)),
                }
            }
            // SETITEM | SETITEMS
            _ => {
                let items = self.pop_added(code == SETITEM, 2)?;
                even(&items)?;
                match self.top_node()? {
                    Node::Dict(pairs) => pairs.extend(items),
                    Node::Reduce(call) => call.pairs.extend(items),
                    other => return Err(wrong_kind("a dictionary", other)),
                }
            }
        }
        Ok(())
    }

    /// Names, calls, states, references outside the pickle.
    fn construct(&mut self, code: u8) -> Result<(), Reason> {
        match code {
            GLOBAL => {
                let global = self.global_from_lines()?;
                self.push(global);
            }
            STACK_GLOBAL => {
                let names = self.pop_many(2)?;
                let [module, name] = [self.text(names[0])?, self.text(names[1])?];
                self.push(global_node(module, name));
            }
            REDUCE | NEWOBJ => {
                let parts = self.pop_many(2)?;
                self.push_call(parts[0], parts[1], None)?;
            }
            NEWOBJ_EX => {
                let parts = self.pop_many(3)?;
                let keywords = match &self.arena[parts[2]] {
                    Node::Dict(pairs) if pairs.is_empty() => None,
                    Node::Dict(_) => Some(parts[2]),
                    other => return Err(wrong_kind("a dictionary of keywords", other)),
                };
                self.push_call(parts[0], parts[1], keywords)?;
            }
            INST => {
                let arguments = self.pop_to_mark()?;
                let callable = self.global_from_lines()?;
                let callable = self.add(callable);
                let arguments = self.add(Node::Tuple(arguments));
                self.push_call(callable, arguments, None)?;
            }
            OBJ => {
                let mut arguments = self.pop_to_mark()?;
                if arguments.is_empty() {
                    return Err(Reason::StackUnderflow);
                }
                let callable = arguments.remove(0);
                let arguments = self.add(Node::Tuple(arguments));
                self.push_call(callable, arguments, None)?;
            }
            BUILD => {
                let state = self.pop()?;
                match self.top_node()? {
                    Node::Reduce(call) if call.state.is_none() => call.state = Some(state),
                    Node::Reduce(_) => return Err(Reason::StateTwice),
                    other => return Err(wrong_kind("an object", other)),
                }
            }
            PERSID => {
                let identifier = Value::String(text::utf8(self.cursor.line()?)?);
                let identifier = self.add(Node::Leaf(identifier));
                self.push(Node::Persistent(identifier));
            }
            // BINPERSID
            _ => {
                let identifier = self.pop()?;
                self.push(Node::Persistent(identifier));
            }
        }
        Ok(())
    }

    fn global_from_lines(&mut self) -> Result<Node, Reason> {
        let module = text::utf8(self.cursor.line()?)?;
        let name = text::utf8(self.cursor.line()?)?;
        Ok(global_node(module, name))
    }

    fn text(&self, id: Id) -> Result<Arc<str>, Reason> {
        match &self.arena[id] {
            Node::Leaf(Value::String(text)) => Ok(text.clone()),
            other => Err(wrong_kind("text", other)),
        }
    }

    fn push_call(
        &mut self,
        callable: Id,
        arguments: Id,
        keywords: Option<Id>,
    ) -> Result<(), Reason> {
        match &self.arena[arguments] {
            Node::Tuple(_) => {}
            other => return Err(wrong_kind("a tuple of arguments", other)),
        }
        self.push(Node::Reduce(Box::new(ReduceNode {
            callable,
            arguments,
            keywords,
            state: None,
            items: Vec::new(),
            pairs: Vec::new(),
        })));
        Ok(())
    }

    fn add(&mut self, node: Node) -> Id {
        self.arena.push(node);
        self.arena.len() - 1
    }

    fn push(&mut self, node: Node) {
        let id = self.add(node);
        self.stack.push(id);
    }

    /// Height below which the last mark lies.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id, Reason> {
        self.stack[self.floor()..]
            .last()
            .copied()
            .ok_or(Reason::StackUnderflow)
    }

    fn top_node(&mut self) -> Result<&mut Node, Reason> {
        let top = self.top()?;
        Ok(&mut self.arena[top])
    }

    fn pop(&mut self) -> Result<Id, Reason> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The topmost `count` objects, lowest first.
    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, Reason> {
        if self.stack.len() - self.floor() < count {
            return Err(Reason::StackUnderflow);
        }
        let start = self.stack.len() - count;
        Ok(self.stack.drain(start..).collect())
    }

    /// What an operation adds to a container: the topmost `count` objects, or all above the mark.
    fn pop_added(&mut self, single: bool, count: usize) -> Result<Vec<Id>, Reason> {
        if single {
            self.pop_many(count)
        } else {
            self.pop_to_mark()
        }
    }

    /// All objects above the last mark, which goes too. Collected anew instead of split off, so
    /// that no object inherits the capacity of the whole stack.
    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Reason> {
        let mark = self.marks.pop().ok_or(Reason::NoMark)?;
        Ok(self.stack.drain(mark..).collect())
    }
}

fn global_node(module: Arc<str>, name: Arc<str>) -> Node {
    Node::Leaf(Value::Global(Arc::new(Global {
        module: module.to_string(),
        name: name.to_string(),
    })))
}

fn even(items: &[Id]) -> Result<(), Reason> {
    if items.len().is_multiple_of(2) {
        Ok(())
    } else {
        Err(Reason::OddPairs)
    }
}

fn wrong_kind(expected: &'static str, found: &Node) -> Reason {
    Reason::WrongKind {
        expected,
        found: found.kind(),
    }
}
