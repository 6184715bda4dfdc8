#!/usr/bin/env bash
#$ -N blockseg-driver
#$ -pe smp 2
#$ -l h_vmem=4G
#$ -l h_rt=24:00:00
#$ -cwd
#$ -j y
#$ -r y
#$ -o ./blockseg-driver-$JOB_ID.log

timeout --signal=TERM 86100 python -m blockseg_cli run 'my brain.zarr' --cluster sge.yaml
code=$?
if [ $code -eq 124 ]; then
    exit 99  # which SGE takes for: again
fi
exit $code
