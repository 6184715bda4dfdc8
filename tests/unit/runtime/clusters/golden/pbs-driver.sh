#!/usr/bin/env bash
#PBS -N blockseg-driver
#PBS -l select=1:ncpus=2:mem=8gb
#PBS -l walltime=24:00:00
#PBS -j oe
#PBS -r y
cd "$PBS_O_WORKDIR"

timeout --signal=TERM 86100 python -m blockseg_cli run 'my brain.zarr' --cluster pbs.yaml
code=$?
if [ $code -eq 124 ]; then
    qsub /home/me/submit.sh
fi
exit $code
