#!/usr/bin/env bash

#SBATCH -J blockseg
#SBATCH -n 1
#SBATCH --cpus-per-task=8
#SBATCH --mem=30G
#SBATCH -t 12:00:00
#SBATCH --gres=gpu:1

python -m distributed.cli.dask_worker tls://SCHEDULER:8786 --name WORKER --nthreads 2 --memory-limit 29.80GiB --nanny --death-timeout 120 --no-dashboard --lifetime 42600s --lifetime-stagger 300s --resources GPU=1
