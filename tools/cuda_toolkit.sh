#!/usr/bin/env bash
# Installs NVIDIA's CUDA compiler and libraries from PyPI, laid out as a toolkit, on a machine
# that has none (building needs neither a GPU nor a driver).
#
#   tools/cuda_toolkit.sh FOLDER          creates FOLDER (about 1.5 minutes, 3 GB)
#   source FOLDER/env.sh
#   cargo build --release --features cuda
#
# Needs python3 with venv, and gcc. CUDA 13.0 needs a driver of version 580 or later.
set -euo pipefail
folder=$(realpath -m "${1:?give a folder for the toolkit}")
mkdir -p "$folder"
cd "$folder"

python3 -m venv python
python/bin/pip install -q "cuda-toolkit[nvcc,cudart,cublas,curand,nvrtc,cccl,crt]==13.0.*"
wheels=$(echo "$folder"/python/lib/python3*/site-packages/nvidia/cu13)

mkdir -p lib64/stubs
ln -sfn "$wheels/bin" bin
ln -sfn "$wheels/include" include
ln -sfn "$wheels/nvvm" nvvm
ln -sfn lib64 lib
for file in "$wheels"/lib/*; do
    name=$(basename "$file")
    ln -sfn "$file" "lib64/$name"
    case $name in
        *.so.*) ln -sfn "$file" "lib64/${name%%.so.*}.so" ;;
    esac
done
# The wheels contain no driver library. An empty stub is enough for linking; the real library is
# found when the program starts.
echo 'void camlens_stub(void) {}' |
    gcc -x c -shared -fPIC -Wl,-soname,libcuda.so.1 -o lib64/stubs/libcuda.so -

cat >env.sh <<ENV
export CUDA_HOME=$folder CUDA_PATH=$folder CUDA_ROOT=$folder CUDA_TOOLKIT_ROOT_DIR=$folder
# Compute capability: 75 RTX 20, 86 RTX 30, 89 RTX 40, 80 A100, 90 H100.
export CUDA_COMPUTE_CAP=\${CUDA_COMPUTE_CAP:-86}
export PATH=$folder/bin:\$PATH
# Path of the libraries when the program runs without an installed toolkit.
export LD_LIBRARY_PATH=$folder/lib64\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
# Driver symbols, which the empty stub does not define.
export RUSTFLAGS="-L native=$folder/lib64 -L native=$folder/lib64/stubs -C link-arg=-Wl,--unresolved-symbols=ignore-all"
ENV
echo "toolkit in $folder; now: source $folder/env.sh"
