#!/usr/bin/env bash

#PBS -N blockseg
#PBS -l select=1:ncpus=8:mem=30gb:ngpus=1
#PBS -l walltime=12:00:00

python -m distributed.cli.dask_worker tls://SCHEDULER:8786 --name WORKER --nthreads 2 --memory-limit 29.80GiB --nanny --death-timeout 120 --no-dashboard --lifetime 42600s --lifetime-stagger 300s --resources GPU=1
