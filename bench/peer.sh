#!/usr/bin/env bash
# Limbeck next to PyTorch on the same work, in turn; one table in Markdown on standard output:
#
#   bench/peer.sh > bench/RESULTS.md
#   bench/peer.sh --only conv --rounds 2
#
# --venv DIR          virtual environment, made where missing, with torch, torchvision, numpy, transformers, timm
#                     and pycocotools from PyPI
#                     (default: target/peer)
# --torch-step FILE   torch_step.py for the rows that it measures (default:
#                     ../shared/bench/torch_step.py beside the repository, where it exists)
# Everything else goes to table.py: --only conv,frozen,resnet,kd,cache,cached,mobilenet,mobilenet224,vit,
# swin,frozen_small,segformer,deeplab,yolov5,detect,integers,masked,pixels,neighbours,suppression,precision,
# reviewkd,losses,cwd,cirkd,transkd,idd,nfd,skds,data (this one with --pairs DIR, a folder of images with masks),side,
# jpeg (with --pictures DIR, one of JPEG files)
# --rounds N --runs N --threads N --batch N --keep-memory (PyTorch's allocator keeps freed memory, as
# Limbeck's does) --wrap COMMAND (starts each measurement).
#
# PEER_PYTHON=…/python uses an interpreter that has torch; LIMBECK=…/limbeck a built command.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

venv=$root/target/peer
torch_step=$root/../shared/bench/torch_step.py
[ -e "$torch_step" ] || torch_step=
rest=()
while [ $# -gt 0 ]; do
  case $1 in
    --venv) venv=${2:?--venv needs a folder}; shift 2 ;;
    --torch-step)
      torch_step=${2:?--torch-step needs a file}
      [ -e "$torch_step" ] || { echo "there is no $torch_step" >&2; exit 2; }
      shift 2 ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit ;;
    *) rest+=("$1"); shift ;;
  esac
done

python=${PEER_PYTHON:-}
if [ -z "$python" ]; then
  python=$venv/bin/python
  [ -x "$python" ] || python3 -m venv "$venv" >&2
  "$python" -c 'import numpy, pycocotools, timm, torch, torchvision, transformers' 2> /dev/null || "$python" -m pip install torch torchvision numpy transformers timm pycocotools >&2
fi

limbeck=${LIMBECK:-}
if [ -z "$limbeck" ]; then
  (cd "$root" && cargo build --release --workspace --bin limbeck >&2)
  limbeck=${CARGO_TARGET_DIR:-$root/target}/release/limbeck
fi

exec "$python" "$root/bench/table.py" --limbeck "$limbeck" \
  ${torch_step:+--torch-step "$torch_step"} ${rest[@]+"${rest[@]}"}
